import VitalModel

/// `patient_id,time_s,<column>...`: one line is one message.
final class WideCSVParser: RecordingParser {
  private enum Role {
    case patient, relativeTime, absoluteTime
    case vital(VitalCode, unit: UInt8, hasLetters: Bool)
    case ignored
    /// With its place in ``unknownColumns``.
    case unknown(Int)
  }

  private let columns: [String]
  private let roles: [Role]
  private let letters: [[(text: String, value: Int64)]]
  private let patientColumn: Int
  private let timeColumn: Int
  private let splitter = FieldSplitter()
  private let cells: CellBuffer
  private var sourceNumbers: [UInt16] = []
  private(set) var unknownColumns: [(name: String, cells: Int)] = []
  private let mappedSources: [String?]

  init(
    columns: [String], file: String, registry: VitalRegistry, options: RecordingOptions
  ) throws(RecordingError) {
    let lower = columns.map { String($0.drop { $0 == " " }).lowercased() }
    guard let patientColumn = lower.firstIndex(of: "patient_id") ?? lower.firstIndex(of: "patient") else {
      throw lower.count < 2 ? .unknownShape(file: file) : .missingColumn(file: file, name: "patient_id")
    }
    guard let timeColumn = lower.firstIndex(of: "time_s") ?? lower.firstIndex(of: "time") else {
      throw .missingColumn(file: file, name: "time_s")
    }
    var roles: [Role] = []
    var letters: [[(text: String, value: Int64)]] = []
    var sources: [String?] = []
    var unknown: [(name: String, cells: Int)] = []
    for (index, name) in lower.enumerated() {
      letters.append([])
      sources.append(nil)
      if index == patientColumn {
        roles.append(.patient)
      } else if index == timeColumn {
        roles.append(name == "time_s" ? .relativeTime : .absoluteTime)
      } else if let found = try WideCSVParser.vital(name, registry, options.columns) {
        roles.append(.vital(found.code, unit: found.unit, hasLetters: !registry[found.code].letters.isEmpty))
        letters[index] = registry[found.code].letters
        sources[index] = found.source
      } else if options.columns.ignored.contains(name) {
        roles.append(.ignored)
      } else {
        roles.append(.unknown(unknown.count))
        unknown.append((columns[index], 0))
      }
    }
    self.columns = columns
    self.roles = roles
    self.letters = letters
    self.patientColumn = patientColumn
    self.timeColumn = timeColumn
    mappedSources = sources
    unknownColumns = unknown
    cells = CellBuffer(capacity: columns.count)
  }

  /// What a column is by the map, else by the registry; nil: nobody knows it, or the map passes over it.
  static func vital(
    _ name: String, _ registry: VitalRegistry, _ map: ColumnMap
  ) throws(RecordingError) -> (code: VitalCode, unit: UInt8, source: String?)? {
    guard let target = map.targets[name] else {
      guard !map.ignored.contains(name) else { return nil }
      return registry.lookup(name).map { ($0.code, UInt8(clamping: max(0, $0.unit)), nil) }
    }
    guard let found = registry.lookup(target.key) else { throw .badMapping(column: name, key: target.key, unit: nil) }
    guard let unit = target.unit else { return (found.code, UInt8(clamping: max(0, found.unit)), target.source) }
    guard let position = registry[found.code].units.firstIndex(where: { $0.unit == unit }) else {
      throw .badMapping(column: name, key: target.key, unit: unit)
    }
    return (found.code, UInt8(clamping: position), target.source)
  }

  func parse(_ line: UnsafeRawBufferPointer, line number: Int, _ context: inout ParserContext) -> RecordedRow? {
    cells.clear()
    if sourceNumbers.isEmpty { nameSources(context.names) }
    guard splitter.split(line), splitter.count == columns.count else {
      let lost = max(1, countSamples())
      context.samples += lost
      context.refuse(line: number, column: nil, .malformed, line, cells: lost)
      return nil
    }
    let patientText = CellText.trimmed(splitter[patientColumn])
    guard !patientText.isEmpty, let time = time(context.options.epoch) else {
      refuseRow(number, patient: patientText, &context)
      return nil
    }
    let patient = context.names.patients.number(of: patientText)
    let device =
      context.options.device.map { context.names.devices.number(of: $0) }
      ?? context.names.devices.number(of: patientText)
    for index in 0..<splitter.count {
      let raw = splitter[index]
      if raw.isEmpty { continue }
      switch roles[index] {
      case .patient, .relativeTime, .absoluteTime, .ignored: continue
      case .unknown(let place): unknownColumns[place].cells += 1
      case .vital(let code, let unit, let hasLetters):
        let text = CellText.trimmed(raw)
        if text.isEmpty { continue }
        context.samples += 1
        guard let value = CellText.value(text, letters: hasLetters ? letters[index] : nil) else {
          context.refuse(
            line: number, column: columns[index], .malformed, text, cells: 1, patient: patient, device: device,
            time: time)
          continue
        }
        var cell = RecordedCell(code: code, unit: unit, value: value)
        cell.source = sourceNumbers[index]
        cells.append(cell)
      }
    }
    guard cells.count > 0 else { return nil }
    return RecordedRow(
      patient: patient, device: device, tenant: context.names.tenants.number(of: context.options.tenant), time: time,
      sequence: RecordedRow.absent, ingestTime: RecordedRow.absent, cells: cells.closed())
  }

  private func nameSources(_ names: RecordingNames) {
    sourceNumbers = mappedSources.map { UInt16(clamping: names.sources.number(of: $0 ?? "")) }
  }

  private func time(_ epoch: Int64) -> Int64? {
    let text = CellText.trimmed(splitter[timeColumn])
    if case .relativeTime = roles[timeColumn] { return CellText.relativeTime(text, epoch: epoch) }
    return CellText.absoluteTime(text)
  }

  private func refuseRow(_ number: Int, patient: UnsafeRawBufferPointer, _ context: inout ParserContext) {
    let lost = countSamples()
    context.samples += lost
    let isNameless = patient.isEmpty
    context.refuse(
      line: number, column: columns[isNameless ? patientColumn : timeColumn], .malformed,
      splitter[isNameless ? patientColumn : timeColumn], cells: lost,
      patient: isNameless ? nil : context.names.patients.number(of: patient))
  }

  /// Non-empty cells of known columns in the line split last.
  private func countSamples() -> Int {
    (0..<min(splitter.count, columns.count)).reduce(0) { sum, index in
      guard case .vital = roles[index] else { return sum }
      return sum + (CellText.trimmed(splitter[index]).isEmpty ? 0 : 1)
    }
  }
}
