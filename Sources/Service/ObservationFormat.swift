import HTTPAPI
import Recordings
import TabularFormats
import VitalModel

/// What a page of observations is written as.
enum ObservationFormat: String, CaseIterable {
  case json, csv, arrow

  static let hint =
    "format is json, csv or arrow; or Accept application/json, text/csv, \(ArrowStreamWriter.mediaType)"

  /// `format` if given, else the best of `Accept` (RFC 9110, section 12.5.1); nil: nothing that is made here.
  init?(_ request: HTTPRequest) {
    if let name = request.query("format") {
      self.init(rawValue: name)
      return
    }
    var best: (format: ObservationFormat, quality: Double)?
    for part in (request.header("accept") ?? "*/*").split(separator: ",") {
      let words = part.split(separator: ";").map { $0.filter { !$0.isWhitespace }.lowercased() }
      let quality = words.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      guard let format = words.first.flatMap(ObservationFormat.init(type:)), quality > best?.quality ?? 0 else {
        continue
      }
      best = (format, quality)
    }
    guard let best else { return nil }
    self = best.format
  }

  private init?(type: String) {
    switch type {
    case "application/json", "application/*", "*/*": self = .json
    case "text/csv", "text/*": self = .csv
    case ArrowStreamWriter.mediaType: self = .arrow
    default: return nil
    }
  }

  func body(_ rows: [ObservationRow], _ names: ObservationNames, next: String?) throws(ArrowError) -> HTTPResponse {
    switch self {
    case .json: return .json(ObservationFormat.json(rows, names, next: next))
    case .csv:
      return HTTPResponse(
        status: 200, headers: [("Content-Type", "text/csv; charset=utf-8; header=present")],
        body: ObservationFormat.csv(rows, names))
    case .arrow:
      var writer = try ArrowStreamWriter(names: names)
      for row in rows { writer.append(row) }
      writer.finish()
      return HTTPResponse(
        status: 200, headers: [("Content-Type", ArrowStreamWriter.mediaType)], body: writer.take())
    }
  }

  private static func json(_ rows: [ObservationRow], _ names: ObservationNames, next: String?) -> [UInt8] {
    var out = JSONText()
    out.object { out in
      out.array("observations") { out in
        for row in rows { out.object { write(row, names, to: &$0) } }
      }
      out.field("next", next)
    }
    return out.bytes
  }

  private static func write(_ row: ObservationRow, _ names: ObservationNames, to out: inout JSONText) {
    out.field("tenant", names.tenants[Int(row.tenant)])
    out.field("patient", names.patients[Int(row.patient)])
    out.field("device", names.devices[Int(row.device)])
    out.field("time", Timestamp.format(row.time))
    out.field("ingest_time", Timestamp.format(row.ingestTime))
    out.field("code", names.registry[row.code].key)
    if let letter = names.letter(row) { out.field("value", letter) } else { out.field("value", row.value) }
    out.field("unit", names.unit(row))
    out.field("source", row.source < 0 ? nil : names.sources[Int(row.source)])
    out.field("status", row.status.text)
    out.raw("quality", row.quality.text)
    out.raw("seq", row.sequence.map { String($0) })
    out.field("flags", FlagWords.text(row.flags).split(separator: " ").map(String.init))
    out.field("superseded", row.isSuperseded)
  }

  /// As `vigil export --format csv --full`.
  private static func csv(_ rows: [ObservationRow], _ names: ObservationNames) -> [UInt8] {
    var writer = LongCSVWriter(registry: names.registry, full: true)
    for row in rows {
      let head = ExportedRow(
        tenant: names.tenants[Int(row.tenant)], patient: names.patients[Int(row.patient)],
        device: names.devices[Int(row.device)], time: row.time, sequence: row.sequence, ingestTime: row.ingestTime)
      var cell = RecordedCell(code: row.code, unit: row.unit, value: row.value)
      cell.statusRaw = row.statusRaw
      cell.quality = row.quality
      cell.flags = row.flags
      writer.append(head, cell: cell, source: row.source < 0 ? "" : names.sources[Int(row.source)])
    }
    return writer.take()
  }
}
