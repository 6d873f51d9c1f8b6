import Compression
import VitalModel

/// HL7 v2 `ORU^R01` messages, one after another, with or without MLLP frames; segments end with a carriage return, a line
/// feed or both.
///
/// The patient is PID-3, the time OBX-14 or else OBR-7, the code OBX-3 by MDC reference id, MDC number or LOINC, the unit
/// OBX-6. Times without an offset have that of MSH-7 (HL7 v2.6 section 2.A.22), else they count as UTC. Other messages, as
/// alarms of `ORU^R40`, are passed over.
struct HL7Importer: Importer {
  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    var lines = try ImportedLines(file, sink: sink) { SegmentSource($0) }
    var message: HL7Message?
    while let line = try lines.next() {
      let segment = CellText.trimmed(line)
      guard segment.count >= 4 else {
        if !segment.isEmpty { sink.refuse(lines.number, "segment", .malformed) }
        continue
      }
      if segment.starts(with: Array("MSH".utf8)) {
        sink.countRecord()
        message = HL7Message(segment)
        if message == nil { sink.refuse(lines.number, "MSH", .malformed) }
        if message?.isObservations == false { sink.omit(.otherKind) }
        continue
      }
      guard message?.isObservations == true else {
        if message == nil, segment.starts(with: Array("OBX".utf8)) { sink.refuse(lines.number, "MSH", .malformed) }
        continue
      }
      try message?.take(segment, line: lines.number, into: sink)
    }
  }
}

/// Segments as lines: carriage returns become line feeds, a line feed behind one and the bytes around MLLP frames go.
struct SegmentSource: ByteSource {
  private var source: any ByteSource
  private var followsReturn = false

  init(_ source: any ByteSource) { self.source = source }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    while true {
      let count = try source.read(into: buffer)
      if count == 0 { return 0 }
      var kept = 0
      for index in 0..<count {
        let byte = buffer[index]
        defer { followsReturn = byte == 0x0D }
        if byte == 0x0B || byte == 0x1C || (byte == 0x0A && followsReturn) { continue }
        buffer[kept] = byte == 0x0D ? 0x0A : byte
        kept += 1
      }
      if kept > 0 { return kept }
    }
  }
}

/// The state of one message while its segments come.
private struct HL7Message {
  let isObservations: Bool
  private let marks: HL7Marks
  /// Of MSH-7, minutes; nil: it says none.
  private let offset: String?
  private let sender: String
  private var patient = ""
  private var observedAt: Int64?

  /// Nil: the marks at its start cannot be right.
  init?(_ header: UnsafeRawBufferPointer) {
    guard let marks = HL7Marks(header) else { return nil }
    self.marks = marks
    // The mark behind MSH is the first field itself.
    let fields = marks.fields(header)
    func field(_ number: Int) -> UnsafeRawBufferPointer { marks.field(fields, number - 1) }
    let kind = marks.components(field(9))
    isObservations =
      kind.count >= 2 && kind[0].elementsEqual("ORU".utf8) && kind[1].elementsEqual("R01".utf8)
    offset = HL7Time.offset(field(7))
    sender = marks.text(marks.component(field(3), 1))
  }

  mutating func take(_ segment: UnsafeRawBufferPointer, line: Int, into sink: ImportSink) throws(RecordingError) {
    let fields = marks.fields(segment)
    switch fields[0].string {
    case "PID":
      patient = marks.text(marks.component(marks.first(marks.field(fields, 3)), 1))
      observedAt = nil
    case "OBR": observedAt = HL7Time.parse(marks.component(marks.field(fields, 7), 1), offset: offset)
    case "OBX": try observe(fields, line, sink)
    default: break
    }
  }

  private func observe(
    _ fields: [UnsafeRawBufferPointer], _ line: Int, _ sink: ImportSink
  ) throws(RecordingError) {
    let text = marks.field(fields, 5)
    switch marks.field(fields, 11).string {
    case "D", "W": return sink.omit(.withdrawn)
    case "X", "N", "I", "O": return sink.omit(.notMeasured)
    default: break
    }
    if text.isEmpty { return sink.omit(.notMeasured) }
    guard let code = code(marks.field(fields, 3), sink) else {
      return sink.omit(unknown: codeName(marks.field(fields, 3)))
    }
    let vital = sink.registry[code]
    let own = marks.component(marks.field(fields, 14), 1)
    guard let time = own.isEmpty ? observedAt : HL7Time.parse(own, offset: offset) else {
      return sink.refuse(line, own.isEmpty ? "OBR-7" : "OBX-14", .malformed)
    }
    guard !(sink.options.patient ?? patient).isEmpty else { return sink.refuse(line, "PID-3", .malformed) }
    guard let known = unit(marks.field(fields, 6), code, sink) else {
      return sink.refuse(line, vital.key, .unknownUnit)
    }
    let letters = vital.letters.isEmpty ? nil : vital.letters
    let plain = marks.text(marks.component(text, 1))
    let value = letters == nil ? HL7Number.parse(text) : plain.withBytes { CellText.value($0, letters: letters) }
    guard let value else { return sink.refuse(line, vital.key, .malformed) }
    let equipment = marks.text(marks.component(marks.first(marks.field(fields, 18)), 1))
    try sink.add(
      patient: patient, device: equipment.isEmpty ? sender : equipment, time: time, known, value, line: line)
  }

  /// By MDC reference id first: public interfaces have many wrong numbers beside right names.
  private func code(_ field: UnsafeRawBufferPointer, _ sink: ImportSink) -> VitalCode? {
    let parts = marks.components(field)
    for start in stride(from: 0, to: min(parts.count, 6), by: 3) {
      let number = marks.text(parts[start])
      let name = start + 1 < parts.count ? marks.text(parts[start + 1]) : ""
      let byName = name.hasPrefix("MDC_") ? sink.registry.code(name) : nil
      let byNumber = number.isEmpty ? nil : sink.registry.code(number)
      if let byName, let byNumber, byName != byNumber { sink.countDisagreement() }
      if let found = byName ?? (isForeign(parts, start) ? nil : byNumber) { return found }
    }
    return nil
  }

  /// Whether a code's system is named and is neither LOINC nor MDC: equal texts would be chance.
  private func isForeign(_ parts: [UnsafeRawBufferPointer], _ start: Int) -> Bool {
    guard start + 2 < parts.count, !parts[start + 2].isEmpty else { return false }
    return !["LN", "LNC", "MDC", "ISO+", "99VIGIL"].contains(parts[start + 2].string)
  }

  private func codeName(_ field: UnsafeRawBufferPointer) -> String {
    let parts = marks.components(field).prefix(2).map { marks.text($0) }
    // Beside a number stands its name in anybody's words.
    let name = parts.first.flatMap { $0.isEmpty ? nil : $0 } ?? parts.last ?? ""
    return name.isEmpty ? "no code" : ImportSink.codeName(name)
  }

  private func unit(_ field: UnsafeRawBufferPointer, _ code: VitalCode, _ sink: ImportSink) -> ImportedVital? {
    if !sink.registry[code].letters.isEmpty { return ImportedVital(code: code, unit: 0) }
    let parts = marks.components(field).map { marks.text($0) }.filter { !$0.isEmpty }
    return sink.registry.vital(code, unit: parts.flatMap { [$0] + MDCUnits.names(of: $0) })
  }
}
