import AlertJournal
import Pipeline
import SeriesStore
import Service
import Statistics
import VitalModel

/// `vigil stats`: what people said alerts were worth, what alerts cost them, and which settings would have cost less.
enum StatsCommand {
  static let command = Command(
    name: "stats", summary: "what alerts were worth and cost: predictive value, burden, answers, noisy patients",
    example: "vigil stats --store var/vigil --by rule --from 2026-11-14T00:00:00Z",
    flags: StoreAccess.flags + [
      Flag("--from", "T", "first start of alerts, RFC 3339"),
      Flag("--to", "T", "end of starts of alerts, not included"),
      Flag("--by", "rule|unit|week|patient", "only this table; `patient` is the only one that names patients"),
      Flag("--shift", "12h", "length of a nurse's shift, counted from midnight UTC; 1h to 24h"),
      Flag("--patients-per-nurse", "4", "patients one nurse looks after"),
      Flag("--suggest", "replay the store with quieter settings of noisy rules; applies nothing, names patients"),
      Flag("--seed", "1", "of the resampling behind intervals"),
      Flag("--json", "everything as one JSON object"),
    ], positional: "", run: run)

  static let tables = ["rule", "unit", "week", "patient"]

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "stats [--store PATH] [--by rule|unit|week|patient] [--suggest] [--json]")
    let by = try arguments.value("--by", as: "one of " + tables.joined(separator: ", ")) { text in
      tables.contains(text) ? text : nil
    }
    let options = try options(arguments)
    for flag in ["--by", "--shift", "--patients-per-nurse", "--seed"]
    where arguments.has("--suggest") && arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "stats: `\(flag)` says nothing to `--suggest`; leave one of them out")
    }
    let (from, to) = (try arguments.time("--from"), try arguments.time("--to"))
    if let from, let to, from >= to { throw CommandFailure(ExitCode.usage, "`--from` must come before `--to`") }
    let access = try StoreAccess(arguments)
    let ward = try StoredWard(access)
    let input = try ward.input(from: from, to: to)
    if arguments.has("--suggest") {
      return try StatsSuggestions(access, ward, input).run(asJSON: arguments.has("--json"))
    }
    let report = FeedbackReport(input, options)
    guard arguments.has("--json") else {
      printLine(StatsText(report, by: by, name: ward.name).text)
      return ExitCode.ok
    }
    var out = JSONText()
    report.write(to: &out, name: by == "patient" ? ward.name : nil)
    printLine(out.text)
    return ExitCode.ok
  }

  private static func options(_ arguments: Arguments) throws(CommandFailure) -> FeedbackOptions {
    var options = FeedbackOptions()
    let shift = try arguments.value("--shift", as: "a duration from 1h to 24h") { text in
      DurationText.parse(text).flatMap { (3_600_000...86_400_000).contains($0) ? $0 : nil }
    }
    options.shift = shift ?? options.shift
    options.patientsPerNurse = try arguments.int("--patients-per-nurse", in: 1...100) ?? options.patientsPerNurse
    options.seed = try arguments.value("--seed", as: "a whole number from 0 on") { UInt64($0) } ?? options.seed
    return options
  }
}

/// A store's alerts, ledger and patient time, as figures need them.
struct StoredWard {
  let access: StoreAccess
  /// The newest roster; empty where there is none.
  let roster: Roster

  init(_ access: StoreAccess) throws(CommandFailure) {
    self.access = access
    roster = try access.reading {
      let text = try access.store.registry.latestText(.roster)
      return try text.map { try Roster(canonicalJSON: String(decoding: $0.bytes, as: UTF8.self)) } ?? Roster()
    }
  }

  func name(_ patient: UInt32) -> String { access.directory.patientKey(patient)?.patient ?? "unknown" }

  func input(from: Int64?, to: Int64?) throws(CommandFailure) -> FeedbackInput {
    let (start, end) = (from ?? .min, to ?? .max)
    let progress = ProgressBar(total: 0, label: "alerts read")
    defer { progress.finish() }
    return try access.reading {
      let outcomes = try AlertHistory.outcomes(access.store.alerts, from: start, to: end) { progress.advance(to: $0) }
      var watches = try watches(from: start, to: end)
      let source = watches.isEmpty ? WatchSource.alerts : .samples
      if watches.isEmpty { watches = watchesByAlerts(outcomes) }
      let spans = watches.flatMap(\.spans)
      let first = (outcomes.map(\.start) + spans.map(\.lowerBound)).min() ?? 0
      let last = (outcomes.map { $0.start + 1 } + spans.map(\.upperBound)).max() ?? first
      let range = (from ?? first)..<max(from ?? first, to ?? last)
      return FeedbackInput(
        outcomes: outcomes, watches: watches, watchSource: source,
        held: try AlertHistory.held(access.store.ledger, from: start, to: end), range: range)
    }
  }

  /// Stays by stored samples; sealed ones need not be unpacked for it.
  private func watches(from: Int64, to: Int64) throws -> [PatientWatch] {
    let series = try StoredSeries(access)
    let groups = Dictionary(grouping: try series.groups(), by: \.patient)
    return try groups.keys.sorted().compactMap { patient in
      let stretches = try groups[patient, default: []].flatMap { try series.stretches($0, from: from, to: to) }
      guard !stretches.isEmpty else { return nil }
      let stays = PatientWatch.stays(stretches.map { ($0.first, $0.last, $0.rows) })
      return PatientWatch(patient: patient, unit: unit(patient), spans: stays)
    }
  }

  /// From each patient's first alert to the last one's end.
  private func watchesByAlerts(_ outcomes: [AlertOutcome]) -> [PatientWatch] {
    Dictionary(grouping: outcomes, by: \.patient).sorted { $0.key < $1.key }.map { patient, alerts in
      let first = alerts.map(\.start).min() ?? 0
      let last = alerts.map { max($0.start, $0.end ?? $0.start) }.max() ?? first
      return PatientWatch(patient: patient, unit: unit(patient), spans: [first..<last])
    }
  }

  private func unit(_ patient: UInt32) -> String? {
    roster.patientIndex(name(patient)).flatMap { roster.patients[$0].unit }
  }
}
