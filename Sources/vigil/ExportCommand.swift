import AlertJournal
import ChunkCoding
import Foundation
import Glibc
import Pipeline
import Recordings
import SeriesStore
import Service
import TabularFormats
import VitalModel

/// `vigil export`: stored samples as a recording, numbers and units exactly as received.
enum ExportCommand {
  static let command = Command(
    name: "export", summary: "write stored samples to a file, beside a running service or none",
    example: "vigil export --store var/vigil --format arrow --output vitals.arrows",
    flags: StoreAccess.flags + [
      Flag(
        "--format", "csv|jsonl|arrow|fhir-ndjson",
        "long CSV (default), native JSON lines, an Arrow IPC stream, FHIR R4 Observations one a line"),
      Flag("--full", "CSV: also source, status, quality, seq, tenant, ingest_time and flags"),
      Flag("--output", "FILE", "default standard output"),
      Flag("--from", "T", "first event time, RFC 3339"), Flag("--to", "T", "end of event times, not included"),
      Flag("--patients", "ID,...", repeats: true, "only these patients"),
      Flag("--codes", "KEY,...", repeats: true, "only these vitals"),
      Flag(
        "--superseded",
        "also values that a correction replaced; only arrow and fhir-ndjson mark them (csv: oldest first)"),
      Flag(
        "--resolution", "raw|1m|15m|1h|auto",
        "count, min, max, mean and last of such stretches instead of samples (csv, jsonl); auto: by the range"),
      Flag("--json", "counts as one JSON object on standard error"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "export [--store PATH] [--format FORMAT] [--output FILE]")
    let format = try format(arguments)
    let from = try arguments.time("--from")
    let to = try arguments.time("--to")
    let access = try StoreAccess(arguments)
    try OutputCheck.run("export", arguments, writing: ["--output"], reading: ["-c"], inputs: [access.path])
    let codes = try codes(arguments, access.registry)
    let patients = try access.patients(arguments.list("--patients"))
    let series = try StoredSeries(access)
    let groups = try access.reading {
      exportOrder(try series.groups().filter { patients?.contains($0.patient) ?? true }, access.directory)
    }
    let resolution = try resolution(arguments, from: from, to: to)
    var scan = SeriesScan()
    (scan.groups, scan.codes, scan.resolution) = (groups, codes, resolution)
    (scan.from, scan.to) = (from ?? .min, to ?? .max)
    (scan.superseded, scan.decodesAhead) = (arguments.has("--superseded"), true)
    if resolution != .raw {
      return try RollupExport.run(scan, series, access, format, arguments)
    }
    var export = try SeriesExport(
      access: access, groups: groups, format: format, isFull: arguments.has("--full"), codes: codes,
      output: arguments.value("--output") ?? "-")
    let progress = ProgressBar(total: 0, label: "samples exported")
    try access.reading {
      let cursor = try series.scan(scan)
      defer { cursor.close() }
      var scanned = ScannedRow()
      var row = SeriesRow()
      while try cursor.next(&scanned) {
        row.time = scanned.time
        swap(&row.cells, &scanned.samples)
        try export.append(row, scanned.group)
        swap(&row.cells, &scanned.samples)
        progress.advance(to: export.samples)
      }
      try export.finish()
    }
    progress.finish()
    report(export, arguments)
    return ExitCode.ok
  }

  private static func format(_ arguments: Arguments) throws(CommandFailure) -> ExportFormat {
    let name = arguments.value("--format") ?? "csv"
    guard let format = ExportFormat(rawValue: name) else {
      throw CommandFailure(ExitCode.usage, "`--format` must be csv, jsonl, arrow or fhir-ndjson, not `\(name)`")
    }
    guard format == .csv || !arguments.has("--full") else {
      throw CommandFailure(ExitCode.usage, "`--full` is for csv; \(name) leaves nothing out")
    }
    let isToTerminal = (arguments.value("--output") ?? "-") == "-" && isatty(STDOUT_FILENO) == 1
    guard format != .arrow || !isToTerminal else {
      throw CommandFailure(ExitCode.usage, "arrow is binary: name a file with --output, or pipe it to what reads it")
    }
    return format
  }

  private static func resolution(
    _ arguments: Arguments, from: Int64?, to: Int64?
  ) throws(CommandFailure) -> SeriesResolution {
    guard let name = arguments.value("--resolution") else { return .raw }
    if name == "auto" { return .automatic(from: from ?? .min, to: to ?? .max) }
    guard let resolution = SeriesResolution(rawValue: name) else {
      throw CommandFailure(ExitCode.usage, "`--resolution` must be raw, 1m, 15m, 1h or auto, not `\(name)`")
    }
    return resolution
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
