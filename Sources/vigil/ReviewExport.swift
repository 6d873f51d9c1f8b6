import Recordings
import Service
import Statistics
import VitalModel

/// `label export`: a sheet of alerts with the course of their vitals, for reviewers.
enum ReviewExport {
  static func run(_ path: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let recordings = arguments.all("--recording")
    for flag in ["--before", "--after", "--epoch", "--map", "--columns"]
    where arguments.has(flag) && recordings.isEmpty {
      throw CommandFailure(ExitCode.usage, "label export: `\(flag)` says nothing without `--recording`")
    }
    let documents = try LabelCommand.alerts(path, arguments)
    guard !documents.isEmpty else { throw CommandFailure(ExitCode.failed, "\(path): no alert people were told of") }
    var items = documents.map { document in
      ReviewItem(
        alertID: document.alertID, rule: document.ruleID, title: document.ruleTitle, priority: document.priority,
        time: document.detectedTime, patient: document.patient, code: document.code, value: document.value,
        unit: document.unit)
    }
    let limits = Dictionary(documents.map { ($0.alertID, $0.limit?.double) }) { first, _ in first }
    if let count = try arguments.int("--per-rule", in: 1...100_000) {
      items = ReviewSheet.drawn(items, perRule: count, seed: try LabelCommand.seed(arguments))
    }
    if !recordings.isEmpty { try draw(&items, limits, recordings, arguments) }
    let target = arguments.value("--out")
    let asJSON = target.map { ImportFormat.withoutPacking($0).hasSuffix(".json") } ?? false
    let withPatients = arguments.has("--ids")
    let text =
      asJSON
      ? ReviewSheet.json(items, withPatients: withPatients) : ReviewSheet.csv(items, withPatients: withPatients)
    try LabelCommand.write(text, to: target)
    let rules = Set(items.map(\.rule)).count
    printError("\(items.count) of \(documents.count) alerts of \(rules) rules to review")
    return ExitCode.ok
  }

  /// One pass over the recordings; what is kept is one trace an alert.
  private static func draw(
    _ items: inout [ReviewItem], _ limits: [String: Double?], _ recordings: [String], _ arguments: Arguments
  ) throws(CommandFailure) {
    let registry: VitalRegistry
    let files: RuleFiles
    do throws(RuleFiles.Failure) {
      files = try RuleFiles.read(arguments.value("--rules") ?? "Rules")
      registry = try files.registry()
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    let options = try RecordingInputs.options(arguments, files, registry, paths: recordings)
    let before = try length("--before", arguments) ?? 1_800_000
    let after = max(1, try length("--after", arguments) ?? 600_000)
    var wanted: [String: [Int]] = [:]
    for (place, item) in items.enumerated() {
      guard let code = item.code, registry.code(code) != nil else { continue }
      let range = (item.time - before)..<(item.time + after)
      items[place].trace = TraceThumbnail(range: range, marked: item.time, limit: limits[item.alertID] ?? nil)
      wanted[item.patient, default: []].append(place)
    }
    let codes = items.map { $0.code.flatMap { registry.code($0) } }
    let reader = RecordingReader(
      recordings.map { RecordingFile(path: $0) }, registry: registry, options: options)
    // By the recording's number of the patient.
    var places: [[Int]?] = []
    do throws(RecordingError) {
      try reader.forEach { row in
        let patient = Int(row.patient)
        while places.count <= patient { places.append(wanted[reader.names.patients[UInt32(places.count)]]) }
        guard let alerts = places[patient] else { return true }
        for place in alerts where items[place].trace?.range.contains(row.time) == true {
          for cell in row.cells where cell.code == codes[place] {
            guard let value = registry.usableValue(cell) else { continue }
            items[place].trace?.add(value, at: row.time)
          }
        }
        return true
      }
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
    let empty = items.count { $0.trace?.means.allSatisfy { $0 == nil } ?? true }
    if empty > 0 { printError("\(empty) of \(items.count) alerts have no sample of their vital in the recording") }
  }

  private static func length(_ flag: String, _ arguments: Arguments) throws(CommandFailure) -> Int64? {
    try arguments.value(flag, as: "a duration from 0s on") { text in
      DurationText.parse(text).flatMap { $0 >= 0 ? $0 : nil }
    }
  }
}
