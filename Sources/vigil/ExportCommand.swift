import AlertJournal
import ChunkCoding
import Foundation
import Pipeline
import Recordings
import SeriesStore
import Service
import VitalModel

/// `vigil export`: stored samples as a recording, numbers and units exactly as received.
enum ExportCommand {
  static let command = Command(
    name: "export", summary: "write stored samples to a file, beside a running service or none",
    example: "vigil export --store var/vigil --format csv --output vitals.csv",
    flags: StoreAccess.flags + [
      Flag("--format", "csv|jsonl", "long CSV (default) or native JSON lines"),
      Flag("--full", "CSV: also source, status, quality, seq, tenant, ingest_time and flags"),
      Flag("--output", "FILE", "default standard output"),
      Flag("--from", "T", "first event time, RFC 3339"), Flag("--to", "T", "end of event times, not included"),
      Flag("--patients", "ID,...", repeats: true, "only these patients"),
      Flag("--codes", "KEY,...", repeats: true, "only these vitals"),
      Flag("--superseded", "also values that a correction replaced"),
      Flag("--json", "counts as one JSON object on standard error"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "export [--store PATH] [--format csv|jsonl] [--output FILE]")
    let format = arguments.value("--format") ?? "csv"
    guard ["csv", "jsonl"].contains(format) else {
      throw CommandFailure(ExitCode.usage, "`--format` must be csv or jsonl, not `\(format)`")
    }
    let from = try arguments.time("--from")
    let to = try arguments.time("--to")
    let access = try StoreAccess(arguments)
    let codes = try codes(arguments, access.registry)
    let patients = access.patients(arguments.list("--patients"))
    let series = try StoredSeries(access)
    var export = try SeriesExport(
      access: access, isCSV: format == "csv", isFull: arguments.has("--full"), codes: codes,
      output: arguments.value("--output") ?? "-")
    let progress = ProgressBar(total: 0, label: "samples exported")
    try access.reading {
      let groups = try series.groups().filter { patients?.contains($0.patient) ?? true }
      for group in ordered(groups, access.directory) {
        let cursor = try series.rows(group, from: from, to: to, superseded: arguments.has("--superseded"))
        var row = SeriesRow()
        while try cursor.next(&row) { try export.append(row, group) }
        progress.advance(to: export.samples)
      }
      try export.finish()
    }
    progress.finish()
    report(export, arguments)
    return ExitCode.ok
  }

  private static func codes(_ arguments: Arguments, _ registry: VitalRegistry) throws(CommandFailure) -> Set<VitalCode>
  {
    var codes: Set<VitalCode> = []
    for name in arguments.list("--codes") {
      guard let code = registry.code(name) else {
        let hint = Arguments.nearest(name, registry.allNames).map { ", did you mean `\($0)`?" } ?? ""
        throw CommandFailure(ExitCode.usage, "`--codes`: unknown vital `\(name)`\(hint)")
      }
      codes.insert(code)
    }
    return codes
  }

  /// By patient id, then device id, as texts; tenants only decide between equal ids.
  private static func ordered(_ groups: [SeriesGroup], _ directory: Directory) -> [SeriesGroup] {
    func key(_ group: SeriesGroup) -> [String] {
      let patient = directory.patientKey(group.patient)
      return [patient?.patient ?? "", directory.deviceName(group.device), patient?.tenant ?? ""]
    }
    return groups.map { (key($0), $0) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }.map(\.1)
  }

  private static func report(_ export: SeriesExport, _ arguments: Arguments) {
    if arguments.has("--json") {
      var out = JSONText()
      out.object {
        $0.field("patients", export.patients.count)
        $0.field("rows", export.rows)
        $0.field("samples", export.samples)
      }
      printError(out.text)
    } else {
      printError("exported \(export.samples) samples in \(export.rows) rows of \(export.patients.count) patients")
    }
  }
}

/// Stored rows on their way into a file.
struct SeriesExport {
  private(set) var samples = 0
  private(set) var rows = 0
  private(set) var patients: Set<UInt32> = []
  private let directory: Directory
  private let codes: Set<VitalCode>
  private let isFull: Bool
  private var csv: LongCSVWriter?
  private var lines: JSONLinesWriter?
  private let output: RecordingOutput

  /// - Parameter codes: only these vitals; empty: all.
  init(
    access: StoreAccess, isCSV: Bool, isFull: Bool, codes: Set<VitalCode>, output path: String
  ) throws(CommandFailure) {
    directory = access.directory
    self.codes = codes
    self.isFull = isFull
    csv = isCSV ? LongCSVWriter(registry: access.registry, full: isFull) : nil
    lines = isCSV ? nil : JSONLinesWriter(registry: access.registry)
    do throws(RecordingError) {
      output = try RecordingOutput(path: path)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) throws {
    let cells = codes.isEmpty ? row.cells : row.cells.filter { codes.contains($0.column.code) }
    guard !cells.isEmpty else { return }
    let patient = directory.patientKey(group.patient)
    var head = ExportedRow(
      tenant: patient?.tenant ?? "", patient: patient?.patient ?? "", device: directory.deviceName(group.device),
      time: row.time)
    if csv != nil {
      for cell in cells {
        head.sequence = cell.cell.deviceSequence
        head.ingestTime = cell.cell.ingestTime
        csv?.append(head, cell: SeriesExport.recorded(cell), source: directory.sourceName(cell.column.source))
      }
    } else {
      appendMessages(cells, &head)
    }
    rows += 1
    samples += cells.count
    patients.insert(group.patient)
    if max(csv?.count ?? 0, lines?.count ?? 0) > 1 << 18 { try flush() }
  }

  /// Cells of one row that came in different messages go back into messages of their own.
  private mutating func appendMessages(_ cells: [SeriesCell], _ head: inout ExportedRow) {
    var rest = cells
    while let first = rest.first {
      let isSame = { (other: SeriesCell) in
        other.cell.deviceSequence == first.cell.deviceSequence && other.cell.ingestTime == first.cell.ingestTime
      }
      head.sequence = first.cell.deviceSequence
      head.ingestTime = first.cell.ingestTime
      let message = rest.filter(isSame).map(SeriesExport.recorded)
      message.withUnsafeBufferPointer { lines?.append(head, cells: $0) { directory.sourceName($0.source) } }
      rest.removeAll(where: isSame)
    }
  }

  private static func recorded(_ cell: SeriesCell) -> RecordedCell {
    var recorded = RecordedCell(code: cell.column.code, unit: cell.column.unit, value: cell.cell.value)
    recorded.statusRaw = cell.cell.statusRaw
    recorded.source = cell.column.source
    recorded.quality = cell.cell.quality
    recorded.flags = cell.cell.flags
    return recorded
  }

  mutating func finish() throws { try flush() }

  private mutating func flush() throws {
    if let bytes = csv?.take() ?? lines?.take() { try output.write(bytes) }
  }
}
