import AlertJournal
import ChunkCoding
import Foundation
import Pipeline
import Recordings
import SeriesStore
import VitalModel

/// `vigil export --resolution`: what samples add up to, one line a bucket and series, in the unit they were sent in.
struct RollupExport {
  private let directory: Directory
  private let registry: VitalRegistry
  private let isCSV: Bool
  private let width: Int64
  private var text = ""
  private var lines = 0
  private var samples = 0

  private static let flushBytes = 1 << 18
  private static let head = "patient,device,time,seconds,code,unit,source,count,min,max,mean,last\n"

  static func run(
    _ scan: SeriesScan, _ series: StoredSeries, _ access: StoreAccess, _ format: ExportFormat, _ arguments: Arguments
  ) throws(CommandFailure) -> Int32 {
    guard format == .csv || format == .jsonl else {
      throw CommandFailure(
        ExitCode.usage, "`--resolution` is for csv and jsonl; \(format.rawValue) has samples: leave it out")
    }
    guard !scan.superseded, !arguments.has("--full") else {
      throw CommandFailure(ExitCode.usage, "`--superseded` and `--full` are for samples; leave out `--resolution`")
    }
    let output: RecordingOutput
    do throws(RecordingError) {
      output = try RecordingOutput(path: arguments.value("--output") ?? "-")
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
    var export = RollupExport(access, isCSV: format == .csv, width: scan.resolution.width)
    let progress = ProgressBar(total: 0, label: "lines exported")
    try access.reading {
      let cursor = try series.scan(scan)
      defer { cursor.close() }
      var row = ScannedRow()
      while try cursor.next(&row) {
        export.append(row)
        if export.text.utf8.count > RollupExport.flushBytes { try output.write(export.take()) }
        progress.advance(to: export.lines)
      }
      try output.write(export.take())
      try output.finish()
    }
    progress.finish()
    export.report(arguments)
    return ExitCode.ok
  }

  private init(_ access: StoreAccess, isCSV: Bool, width: Int64) {
    directory = access.directory
    registry = access.registry
    self.isCSV = isCSV
    self.width = width
    if isCSV { text = RollupExport.head }
  }

  private mutating func take() -> [UInt8] {
    defer { text.removeAll(keepingCapacity: true) }
    return Array(text.utf8)
  }

  private mutating func append(_ row: ScannedRow) {
    let patient = directory.patientKey(row.group.patient)?.patient ?? ""
    let device = directory.deviceName(row.group.device)
    for cell in row.rollups where Int(cell.column.code.index) < registry.vitals.count {
      let vital = registry[cell.column.code]
      let unit = Int(cell.column.unit) < vital.units.count ? vital.units[Int(cell.column.unit)].unit : vital.unit
      let source = directory.sourceName(cell.column.source)
      lines += 1
      samples += Int(clamping: cell.count)
      let mean = RollupExport.mean(cell)
      if isCSV {
        let fields = [
          RollupExport.quoted(patient), RollupExport.quoted(device), Timestamp.format(row.time), "\(width / 1000)",
          vital.key, RollupExport.quoted(unit), RollupExport.quoted(source), "\(cell.count)",
          cell.minValue.description, cell.maxValue.description, mean, cell.lastValue.description,
        ]
        text += fields.joined(separator: ",") + "\n"
      } else {
        var out = JSONText()
        out.object {
          $0.field("patient", patient)
          $0.field("device", device)
          $0.field("time", Timestamp.format(row.time))
          $0.field("seconds", Int(width / 1000))
          $0.field("code", vital.key)
          $0.field("unit", unit)
          $0.field("source", source.isEmpty ? nil : source)
          $0.field("count", Int(clamping: cell.count))
          $0.field("min", cell.minValue)
          $0.field("max", cell.maxValue)
          $0.raw("mean", mean)
          $0.field("last", cell.lastValue)
        }
        text += out.text + "\n"
      }
    }
  }

  /// Two digits more than the values have: what they can tell.
  private static func mean(_ cell: RollupCell) -> String {
    String(format: "%.\(2 + max(0, -Int(cell.exponent)))f", cell.mean)
  }

  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }

  private func report(_ arguments: Arguments) {
    guard arguments.has("--json") else {
      printError("exported \(lines) lines, which \(samples) samples add up to")
      return
    }
    var out = JSONText()
    out.object {
      $0.field("lines", lines)
      $0.field("samples", samples)
    }
    printError(out.text)
  }
}
