import Compression
import Foundation
import Recordings
import Service
import VitalModel

/// `vigil import`: what other programs write, as a recording that every command reads.
enum ImportCommand {
  static let command = Command(
    name: "import",
    summary: "turn foreign files (PhysioNet, WFDB, VitalDB, Apple Health, FHIR, HL7 v2) into a recording",
    example: "vigil import training_setA --out sepsis.csv.zst --labels labels.csv --roster patients.csv",
    flags: [
      Flag(
        "--from", formats, "the format (default: guessed; also the first word after `import`)"),
      Flag("--out", "FILE", "long CSV, packed if it ends in .gz or .zst (default standard output)"),
      Flag("--labels", "FILE", "labels that the files hold (psv: sepsis)"),
      Flag("--roster", "FILE", "age and sex of patients, as far as the files say (psv)"),
      Flag("--patient", "ID", "the patient of everything, instead of what the files say"),
      Flag("--device", "ID", "the device of everything, instead of what the files say"),
      Flag("--map", "COLUMN=KEY[:UNIT]", repeats: true, "what a column of the files is"),
      Flag("--epoch", "T", "what relative times count from (default 2020-01-01T00:00:00Z)"),
      Flag("--rules", "DIR", "rule directory with vitals.yaml (default Rules)"),
      Flag("--json", "counts as one JSON object on standard error"),
    ], positional: "[FORMAT] INPUT...", run: run)

  private static let formats = ImportFormat.allCases.map(\.rawValue).joined(separator: "|")

  /// Refused values listed one by one; the rest are only counted.
  static let refusalsListed = 20

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    var paths = arguments.positional
    var format = try arguments.value("--from", as: "one of " + formats) { ImportFormat(rawValue: $0) }
    if format == nil, let first = paths.first, let named = ImportFormat(rawValue: first),
      !FileManager.default.fileExists(atPath: first)
    {
      format = named
      paths.removeFirst()
    }
    guard !paths.isEmpty else {
      throw CommandFailure(ExitCode.usage, "usage: vigil import [FORMAT] INPUT... --out recording.csv")
    }
    let files = try ImportFiles.list(paths, format)
    var chosen: [(path: String, format: ImportFormat)] = []
    for path in files {
      if let format { chosen.append((path, format)) } else { chosen.append((path, try ImportFiles.guess(path))) }
    }
    try check(chosen, arguments)
    let registry: VitalRegistry
    do throws(RuleFiles.Failure) {
      registry = try RuleFiles.read(arguments.value("--rules") ?? "Rules").registry()
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    let options = try options(arguments)
    try OutputCheck.run("import", arguments, writing: ["--out", "--labels", "--roster"], reading: [], inputs: files)
    let (sink, unreadable): (ImportSink, Int)
    do throws(RecordingError) {
      (sink, unreadable) = try convert(chosen, registry, options, to: arguments.value("--out") ?? "-")
      if sink.counts.samples > 0 { try writeTables(sink, arguments) }
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
    report(sink, unreadable, asJSON: arguments.has("--json"))
    for column in sink.columnsMissed {
      printError("vigil: no file has a column `\(shown(column))`: its `--map` was not used")
    }
    guard sink.counts.samples > 0 else {
      throw CommandFailure(ExitCode.failed, "no sample was imported: nothing is written")
    }
    return unreadable == 0 ? ExitCode.ok : ExitCode.failed
  }

  /// - Throws: options these formats have nothing for, and two files that would be one patient.
  private static func check(
    _ files: [(path: String, format: ImportFormat)], _ arguments: Arguments
  ) throws(CommandFailure) {
    for flag in ["--labels", "--roster"] where arguments.has(flag) && !files.contains(where: { $0.format == .psv }) {
      throw CommandFailure(ExitCode.usage, "import: `\(flag)` is for psv; other formats hold none")
    }
    guard !arguments.has("--patient") else { return }
    var first: [String: String] = [:]
    for file in files where file.format == .psv {
      let name = ImportFormat.stem(file.path)
      if let other = first[name] {
        throw CommandFailure(
          ExitCode.failed, "\(other) and \(file.path): both would be patient \(shown(name)): rename one")
      }
      first[name] = file.path
    }
  }

  private static func options(_ arguments: Arguments) throws(CommandFailure) -> ImportOptions {
    var options = ImportOptions()
    options.patient = arguments.value("--patient")
    options.device = arguments.value("--device")
    options.wantsPeople = arguments.has("--roster")
    if let epoch = try arguments.time("--epoch") { options.epoch = epoch }
    for mapping in arguments.all("--map") where !options.columns.add(argument: mapping) {
      throw CommandFailure(ExitCode.usage, "`--map` must be COLUMN=KEY[:UNIT], not `\(mapping)`")
    }
    return options
  }

  /// A file that cannot be read to its end is named and counted; what was read of it stands, and the next one follows.
  ///
  /// - Throws: where the output cannot be written.
  private static func convert(
    _ files: [(path: String, format: ImportFormat)], _ registry: VitalRegistry, _ options: ImportOptions,
    to path: String
  ) throws(RecordingError) -> (sink: ImportSink, unreadable: Int) {
    // Made with the first samples: an import of nothing replaces nothing.
    var output: PackedOutput?
    let progress = ProgressBar(total: 0, label: "samples imported")
    defer { progress.finish() }
    var refusals = 0
    var sink: ImportSink?
    var unwritten: RecordingError?
    let refused = { (refusal: ImportRefusal) in
      refusals += 1
      if refusals <= refusalsListed {
        let place = refusal.line > 0 ? "\(refusal.file):\(refusal.line)" : refusal.file
        printError("vigil: \(place): \(shown(refusal.field)): \(refusal.reason.rawValue)")
      }
      if refusals == refusalsListed { printError("vigil: further refusals are only counted") }
    }
    let made = ImportSink(registry: registry, options: options, refused: refused) { (bytes) throws(RecordingError) in
      do throws(RecordingError) {
        if output == nil { output = try PackedOutput(path: path) }
        try output?.write(bytes)
      } catch {
        unwritten = error
        throw error
      }
      progress.advance(to: sink?.counts.samples ?? 0)
    }
    sink = made
    defer { sink = nil }
    var unreadable = 0
    for file in files {
      do throws(RecordingError) {
        try file.format.importer.read(RecordingFile(path: file.path), into: made)
      } catch {
        if let unwritten { throw unwritten }
        unreadable += 1
        if unreadable <= refusalsListed { Program.complain(error.description) }
      }
    }
    if made.counts.samples > 0 {
      try made.finish()
      try output?.finish()
    }
    return (made, unreadable)
  }

  private static func writeTables(_ sink: ImportSink, _ arguments: Arguments) throws(RecordingError) {
    if let path = arguments.value("--labels") {
      let rows = sink.labels.map { [$0.patient, Timestamp.format($0.onset), $0.label] }
      try write([["patient_id", "onset_time", "label"]] + rows, to: path)
    }
    if let path = arguments.value("--roster") {
      let rows = sink.people.map { [$0.patient, $0.ageYears, $0.sex, String($0.rows)] }
      try write([["patient_id", "age_years", "sex", "rows"]] + rows, to: path)
    }
  }

  private static func write(_ rows: [[String]], to path: String) throws(RecordingError) {
    let output = try PackedOutput(path: path)
    for row in rows { try output.write(Array((row.map(CSVText.cell).joined(separator: ",") + "\n").utf8)) }
    try output.finish()
  }

  private static func report(_ sink: ImportSink, _ unreadable: Int, asJSON: Bool) {
    let counts = sink.counts
    let refused = counts.refused.sorted { $0.key.rawValue < $1.key.rawValue }
    let omitted = counts.omitted.sorted { $0.key.rawValue < $1.key.rawValue }
    let unknown = sink.unknown.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    if asJSON {
      var out = JSONText()
      out.object { out in
        out.field("files", counts.files)
        out.field("unreadable", unreadable)
        out.field("records", counts.records)
        out.field("patients", counts.patients)
        out.field("samples", counts.samples)
        out.field("first", counts.first.map(Timestamp.format))
        out.field("last", counts.last.map(Timestamp.format))
        out.object("refused") { out in for (reason, count) in refused { out.field(reason.rawValue, count) } }
        out.object("left_out") { out in for (why, count) in omitted { out.field(why.rawValue, count) } }
        out.object("unknown") { out in for (name, count) in unknown { out.field(name, count) } }
        out.field("code_disagreements", counts.disagreements)
        out.field("labels", sink.labels.count)
      }
      return printError(out.text)
    }
    for (name, count) in unknown.prefix(refusalsListed) {
      printError("vigil: `\(shown(name))` is not a known vital: \(count) values left out")
    }
    var line = "imported \(counts.samples) samples of \(counts.patients) patients from \(counts.files) files"
    let lost = refused.map { "\($0.value) \($0.key.rawValue)" }
    if !lost.isEmpty { line += "; refused " + lost.joined(separator: ", ") }
    let passed = omitted.map { "\($0.value) \($0.key.rawValue)" }
    if !passed.isEmpty { line += "; left out " + passed.joined(separator: ", ") }
    if unreadable > 0 { line += "; \(unreadable) files could not be read to their end" }
    printError(line)
  }
}

/// The files an import is about.
enum ImportFiles {
  /// Files as given; of a folder all of the format, by name, whatever folders they are in.
  static func list(_ paths: [String], _ format: ImportFormat?) throws(CommandFailure) -> [String] {
    var files: [String] = []
    for path in paths {
      var isFolder: ObjCBool = false
      guard path == "-" || FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw CommandFailure(ExitCode.usage, "\(path): no such file or folder")
      }
      guard isFolder.boolValue else {
        files.append(path)
        continue
      }
      let endings = format?.endings ?? ImportFormat.allCases.flatMap(\.endings)
      let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
      let found = names.filter { name in
        endings.contains { ImportFormat.withoutPacking(name).lowercased().hasSuffix($0) }
      }
      guard !found.isEmpty else {
        throw CommandFailure(
          ExitCode.usage, "\(path): no file in this folder ends in \(endings.joined(separator: ", "))")
      }
      files += found.sorted().map { StoreAccess.folder(path) + "/" + $0 }
    }
    return files
  }

  static func guess(_ path: String) throws(CommandFailure) -> ImportFormat {
    var first = [UInt8](repeating: 0, count: 4096)
    var count = 0
    // Standard input can be read only once.
    if path != "-" {
      do throws(CompressionError) {
        var source = try openByteSource(path: path)
        var outcome: Result<Int, CompressionError> = .success(0)
        first.withUnsafeMutableBytes { buffer in
          outcome = Result { () throws(CompressionError) in try source.read(into: buffer) }
        }
        count = try outcome.get()
      } catch {
        throw CommandFailure(ExitCode.failed, RecordingError(error, file: path, line: 0).description)
      }
    }
    let bytes = Array(first[..<count])
    if bytes.starts(with: [0x50, 0x4B]) {
      throw CommandFailure(ExitCode.usage, "\(path): a zip archive; unpack it and name the file inside")
    }
    guard let format = ImportFormat.guess(name: path, first: bytes) else {
      let all = ImportFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandFailure(ExitCode.usage, "\(path): the format cannot be told; say --from and one of \(all)")
    }
    return format
  }
}

/// Cells of small CSV tables.
enum CSVText {
  /// Quoted where it must be (RFC 4180).
  static func cell(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 10 || $0 == 13 }) else { return text }
    return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}
