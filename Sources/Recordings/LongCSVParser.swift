import Decoding
import VitalModel

/// `patient,device,time,code,value,unit` and optional columns: neighbouring lines of equal patient, device and time are
/// one message.
final class LongCSVParser: RecordingParser {
  /// A message of more cells is given out in parts: the bound on memory.
  static let mostCells = 4096

  /// Position of each column in the line; -1: not there.
  private struct Layout {
    var patient = -1
    var device = -1
    var time = -1
    var code = -1
    var value = -1
    var unit = -1
    var source = -1
    var status = -1
    var quality = -1
    var sequence = -1
    var tenant = -1
    var ingestTime = -1
    var flags = -1
  }

  /// What neighbouring lines must share to be one message.
  private struct Head: Equatable {
    var patient: UInt32
    var device: UInt32
    var tenant: UInt32
    var time: Int64
    var sequence: Int64
    var ingestTime: Int64
    func isSameMessage(as other: Head) -> Bool {
      time == other.time && patient == other.patient && device == other.device && tenant == other.tenant
    }
  }

  /// What a code's text stands for. Copying a whole ``VitalDefinition`` for every cell would cost more than parsing it.
  private struct Meaning: BitwiseCopyable {
    var code: VitalCode
    var unit: UInt8
    var hasLetters: Bool
  }

  private let layout: Layout
  private let width: Int
  private let isRelative: Bool
  private let splitter = FieldSplitter()
  private let cells = CellBuffer(capacity: 16)
  private let codes = NameTable()
  private var codeMeanings: [Meaning?] = []
  private var open: Head?
  /// First line of the next message, met while closing the one before.
  private var waiting: (head: Head, cell: RecordedCell)?
  private let unitNames = NameTable()
  /// Position of a unit by (its name's number, code); -1: not a unit of that vital.
  private var unitPositions: [UInt64: Int] = [:]

  static func recognises(_ columns: [String]) -> Bool {
    let names = Set(columns.map { $0.lowercased() })
    return names.isSuperset(of: ["code", "value"])
      && !names.isDisjoint(with: ["patient", "patient_id"]) && !names.isDisjoint(with: ["time", "time_s"])
  }

  init(columns: [String], file: String) throws(RecordingError) {
    let names = columns.map { $0.lowercased() }
    func place(_ candidates: String...) -> Int { names.firstIndex { candidates.contains($0) } ?? -1 }
    layout = Layout(
      patient: place("patient", "patient_id"), device: place("device"), time: place("time", "time_s"),
      code: place("code"), value: place("value"), unit: place("unit"), source: place("source"),
      status: place("status"), quality: place("quality"), sequence: place("seq"), tenant: place("tenant"),
      ingestTime: place("ingest_time"), flags: place("flags"))
    width = columns.count
    isRelative = names[layout.time] == "time_s"
  }

  func takeReady(_ context: inout ParserContext) -> RecordedRow? {
    guard let waiting else { return nil }
    // The row before has been used by now, so its cells may go.
    self.waiting = nil
    cells.clear()
    open = waiting.head
    cells.append(waiting.cell)
    return nil
  }

  func parse(_ line: UnsafeRawBufferPointer, line number: Int, _ context: inout ParserContext) -> RecordedRow? {
    guard splitter.split(line), splitter.count == width else {
      context.samples += 1
      context.refuse(line: number, column: nil, .malformed, line, cells: 1)
      return nil
    }
    guard let head = head(number, &context), let cell = cell(number, head, &context) else { return nil }
    guard let current = open else {
      open = head
      cells.clear()
      cells.append(cell)
      return nil
    }
    if current.isSameMessage(as: head), cells.count < LongCSVParser.mostCells {
      cells.append(cell)
      return nil
    }
    waiting = (head, cell)
    return row(current)
  }

  func finish(_ context: inout ParserContext) -> RecordedRow? {
    guard let current = open, cells.count > 0 else { return nil }
    open = nil
    return row(current)
  }

  private func row(_ head: Head) -> RecordedRow {
    RecordedRow(
      patient: head.patient, device: head.device, tenant: head.tenant, time: head.time, sequence: head.sequence,
      ingestTime: head.ingestTime, cells: cells.closed())
  }

  private func field(_ position: Int) -> UnsafeRawBufferPointer {
    position < 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : CellText.trimmed(splitter[position])
  }

  private func head(_ number: Int, _ context: inout ParserContext) -> Head? {
    let patientText = field(layout.patient)
    let timeText = field(layout.time)
    let time =
      isRelative
      ? CellText.relativeTime(timeText, epoch: context.options.epoch) : CellText.absoluteTime(timeText)
    guard !patientText.isEmpty, let time else {
      context.samples += 1
      context.refuse(
        line: number, column: patientText.isEmpty ? "patient" : "time", .malformed,
        patientText.isEmpty ? patientText : timeText, cells: 1,
        patient: patientText.isEmpty ? nil : context.names.patients.number(of: patientText))
      return nil
    }
    let deviceText = field(layout.device)
    let device: UInt32 =
      if let forced = context.options.device {
        context.names.devices.number(of: forced)
      } else {
        context.names.devices.number(of: deviceText.isEmpty ? patientText : deviceText)
      }
    let tenantText = field(layout.tenant)
    let tenant =
      tenantText.isEmpty
      ? context.names.tenants.number(of: context.options.tenant) : context.names.tenants.number(of: tenantText)
    let sequence = DecimalValue(ascii: field(layout.sequence)).flatMap { $0.scaled(toExponent: 0) }
    return Head(
      patient: context.names.patients.number(of: patientText), device: device, tenant: tenant, time: time,
      sequence: sequence ?? RecordedRow.absent,
      ingestTime: CellText.absoluteTime(field(layout.ingestTime)) ?? RecordedRow.absent)
  }

  private func cell(_ number: Int, _ head: Head, _ context: inout ParserContext) -> RecordedCell? {
    let codeText = field(layout.code)
    guard let meaning = meaning(codeText, context) else {
      refuse(number, "code", .unknownCode, codeText, head, &context)
      return nil
    }
    let valueText = field(layout.value)
    // An empty cell is something not measured.
    if valueText.isEmpty { return nil }
    context.samples += 1
    let letters = meaning.hasLetters ? context.registry[meaning.code].letters : nil
    guard let value = CellText.value(valueText, letters: letters) else {
      refuse(number, context.registry[meaning.code].key, .malformed, valueText, head, &context)
      return nil
    }
    let unitText = field(layout.unit)
    guard let unit = unit(unitText, meaning, context) else {
      refuse(number, context.registry[meaning.code].key, .unknownUnit, unitText, head, &context)
      return nil
    }
    var cell = RecordedCell(code: meaning.code, unit: unit, value: value)
    guard let status = status(field(layout.status)) else {
      refuse(number, "status", .malformed, field(layout.status), head, &context)
      return nil
    }
    guard let quality = quality(field(layout.quality)) else {
      refuse(number, "quality", .malformed, field(layout.quality), head, &context)
      return nil
    }
    guard let flags = FlagWords.parse(field(layout.flags)) else {
      refuse(number, "flags", .malformed, field(layout.flags), head, &context)
      return nil
    }
    cell.statusRaw = status.rawValue
    cell.quality = quality
    cell.flags = flags
    if head.sequence != RecordedRow.absent { cell.flags.insert(.hasSequence) }
    let sourceText = field(layout.source)
    if !sourceText.isEmpty {
      guard let source = SourceText(sourceText) else {
        refuse(number, "source", .malformed, sourceText, head, &context)
        return nil
      }
      cell.source = UInt16(clamping: source.withBytes { context.names.sources.number(of: $0) })
    }
    return cell
  }

  private func refuse(
    _ number: Int, _ column: String, _ reason: QuarantineReason, _ text: UnsafeRawBufferPointer, _ head: Head,
    _ context: inout ParserContext
  ) {
    context.refuse(
      line: number, column: column, reason, text, cells: 1, patient: head.patient, device: head.device, time: head.time)
  }

  private func meaning(_ text: UnsafeRawBufferPointer, _ context: ParserContext) -> Meaning? {
    func look() -> Meaning? {
      guard let found = context.registry.lookup(String(decoding: text, as: UTF8.self)) else { return nil }
      return Meaning(
        code: found.code, unit: UInt8(clamping: max(0, found.unit)),
        hasLetters: !context.registry[found.code].letters.isEmpty)
    }
    // A file of ever new codes must not grow the table for ever.
    guard codes.count < 65_536 else { return look() }
    let number = Int(codes.number(of: text))
    if number == codeMeanings.count { codeMeanings.append(look()) }
    return codeMeanings[number]
  }

  private func unit(_ text: UnsafeRawBufferPointer, _ meaning: Meaning, _ context: ParserContext) -> UInt8? {
    if text.isEmpty { return meaning.unit }
    func look() -> Int {
      context.registry[meaning.code].units.firstIndex { $0.unit.utf8.elementsEqual(text) } ?? -1
    }
    guard unitNames.count < 4096 else { return UInt8(exactly: look()) }
    let key = UInt64(unitNames.number(of: text)) << 16 | UInt64(meaning.code.index)
    if let position = unitPositions[key] { return UInt8(exactly: position) }
    let position = look()
    unitPositions[key] = position
    return UInt8(exactly: position)
  }

  private func status(_ text: UnsafeRawBufferPointer) -> SampleStatus? {
    text.isEmpty ? .ok : SampleStatus(text: String(decoding: text, as: UTF8.self))
  }

  private func quality(_ text: UnsafeRawBufferPointer) -> SampleQuality? {
    text.isEmpty ? .absent : DecimalValue(ascii: text).flatMap { SampleQuality($0) }
  }
}

/// Marks of a sample as words with spaces between: the `flags` column.
package enum FlagWords {
  private static let words: [(SampleFlags, String)] = [
    (.timeReceived, "time-received"), (.uncertain, "uncertain"), (.corrected, "corrected"),
    (.clockCorrected, "clock-corrected"), (.redelivered, "redelivered"), (.simulated, "simulated"),
    (.deviceRestarted, "device-restarted"),
  ]

  static func parse(_ text: UnsafeRawBufferPointer) -> SampleFlags? {
    var flags = SampleFlags(rawValue: 0)
    if text.isEmpty { return flags }
    for word in String(decoding: text, as: UTF8.self).split(separator: " ") {
      guard let flag = words.first(where: { $0.1 == word }) else { return nil }
      flags.insert(flag.0)
    }
    return flags
  }

  package static func text(_ flags: SampleFlags) -> String {
    words.filter { flags.contains($0.0) }.map(\.1).joined(separator: " ")
  }
}
