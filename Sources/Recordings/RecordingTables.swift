import Compression
import VitalModel

/// The small tables beside a recording, read whole: `events.csv`, and device alarms in its form.
package enum RecordingTables {
  /// Lines of `patient_id,time_s,event[,phase]` in file order; `time` instead of `time_s` is RFC 3339; without a phase
  /// an event starts.
  package static func events(_ file: RecordingFile, epoch: Int64) throws(RecordingError) -> [RecordedEvent] {
    var events: [RecordedEvent] = []
    try read(file, columns: ["patient_id", "time_s", "event"]) { (row) throws(RecordingError) in
      let phase = row.text("phase") ?? "start"
      guard phase == "start" || phase == "end" else { throw row.bad("phase") }
      guard let time = row.time("time_s", epoch: epoch) else { throw row.bad("time_s") }
      let event = RecordedEvent(
        patient: try row.required("patient_id"), device: row.text("device") ?? "", time: time,
        event: try row.required("event"), starts: phase == "start")
      events.append(event)
    }
    return events
  }

  private struct Row {
    let file: String
    let line: Int
    let places: [String: Int]
    let fields: [String]

    /// Nil: no such column, or an empty cell.
    func text(_ name: String) -> String? {
      guard let place = places[name], !fields[place].isEmpty else { return nil }
      return fields[place]
    }

    func required(_ name: String) throws(RecordingError) -> String {
      guard let text = text(name) else { throw bad(name) }
      return text
    }

    func time(_ name: String, epoch: Int64) -> Int64? {
      guard var text = text(name) else { return nil }
      return text.withUTF8 { bytes in
        let raw = UnsafeRawBufferPointer(bytes)
        return Timestamp.parse(raw) ?? CellText.relativeTime(raw, epoch: epoch)
      }
    }

    func bad(_ column: String) -> RecordingError { .badCell(file: file, line: line, column: column) }
  }

  private static func read(
    _ file: RecordingFile, columns: [String], row body: (Row) throws(RecordingError) -> Void
  ) throws(RecordingError) {
    let scanner: LineScanner
    do { scanner = LineScanner(try file.open()) } catch { throw RecordingError(error, file: file.name, line: 0) }
    let splitter = FieldSplitter()
    var places: [String: Int] = [:]
    var width = 0
    while let fields = try nextFields(scanner, splitter, file.name) {
      guard width > 0 else {
        width = fields.count
        places = try header(fields, columns, file.name)
        continue
      }
      guard fields.count == width else {
        throw RecordingError.badCell(file: file.name, line: scanner.number, column: columns[0])
      }
      try body(Row(file: file.name, line: scanner.number, places: places, fields: fields))
    }
    if width == 0 { throw .unknownShape(file: file.name) }
  }

  private static func header(
    _ fields: [String], _ columns: [String], _ file: String
  ) throws(RecordingError) -> [String: Int] {
    var places: [String: Int] = [:]
    for (index, field) in fields.enumerated() where places[field.lowercased()] == nil {
      places[field.lowercased()] = index
    }
    for (alias, name) in [("time", "time_s"), ("patient", "patient_id")] where places[name] == nil {
      places[name] = places[alias]
    }
    if let missing = columns.first(where: { places[$0] == nil }) { throw .missingColumn(file: file, name: missing) }
    return places
  }

  private static func nextFields(
    _ scanner: LineScanner, _ splitter: FieldSplitter, _ file: String
  ) throws(RecordingError) -> [String]? {
    let line: LineScanner.Line?
    do { line = try scanner.next() } catch { throw RecordingError(error, file: file, line: scanner.number) }
    guard case .text(var bytes)? = line else {
      if line == nil { return nil }
      throw .badCell(file: file, line: scanner.number, column: "line")
    }
    if bytes.isEmpty { return try nextFields(scanner, splitter, file) }
    if scanner.number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      bytes = UnsafeRawBufferPointer(rebasing: bytes[3...])
    }
    guard splitter.split(bytes) else { throw .badCell(file: file, line: scanner.number, column: "line") }
    return (0..<splitter.count).map { String(decoding: CellText.trimmed(splitter[$0]), as: UTF8.self) }
  }
}
