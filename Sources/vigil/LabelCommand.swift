import AlertJournal
import Foundation
import Pipeline
import Recordings
import Service
import Statistics
import VitalModel

/// `vigil label`: alerts out to reviewers, their verdicts back as labels, and labels from what people answered at the time.
enum LabelCommand {
  static let command = Command(
    name: "label", summary: "have alerts judged: sheets for reviewers, verdicts and agreement back as labels",
    example: "vigil label export alerts.jsonl --recording vitals.csv.zst --per-rule 50 --out review.csv",
    flags: [
      Flag("--out", "FILE", "sheet (.csv or .json) or labels.csv (default standard output)"),
      Flag("--recording", "FILE", repeats: true, "export: draw each alert's vital from this recording"),
      Flag("--per-rule", "N", "export: at most so many alerts of each rule, drawn by the seed"),
      Flag("--ids", "export: patients' ids instead of numbers"),
      Flag("--before", "30m", "export: how much of the vital to draw before the alert"),
      Flag("--after", "10m", "export: and after it"),
      Flag("--alerts", "ALERTS|STORE", "import: what the sheets were made of, where they have no ids"),
      Flag("--seed", "1", "of the draw and of the resampling behind intervals"),
      Flag("--rules", "DIR", "rule directory with vitals.yaml, for --recording (default Rules)"),
      Flag("--json", "import: counts and agreement as one JSON object"),
    ] + ReplayCommand.command.flags.filter { ["--epoch", "--map", "--columns"].contains($0.name) }
      + StoreAccess.flags.filter { $0.name != "--store" }, positional: "export|import|from-answers INPUT...", run: run)

  private static let usage =
    "usage: vigil label export ALERTS.jsonl|STORE | label import SHEET.csv... | label from-answers STORE"

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let inputs = Array(arguments.positional.dropFirst())
    try OutputCheck.run(
      "label", arguments, writing: ["--out"], reading: ["--recording", "--alerts"], inputs: inputs)
    switch arguments.positional.first {
    case "export" where inputs.count == 1: return try ReviewExport.run(inputs[0], arguments)
    case "import" where !inputs.isEmpty: return try ReviewImport.run(inputs, arguments)
    case "from-answers" where inputs.count == 1: return try AnswerLabels.run(inputs[0], arguments)
    default: throw CommandFailure(ExitCode.usage, usage)
    }
  }

  static func seed(_ arguments: Arguments) throws(CommandFailure) -> UInt64 {
    try arguments.value("--seed", as: "a whole number from 0 on") { UInt64($0) } ?? 1
  }

  static func write(_ text: String, to path: String?) throws(CommandFailure) {
    do throws(RecordingError) {
      let output = try PackedOutput(path: path ?? "-")
      try output.write(Array(text.utf8))
      try output.finish()
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// Starts of alerts people were told of: of a store, or of alert documents one a line as `replay` writes them.
  static func alerts(_ path: String, _ arguments: Arguments) throws(CommandFailure) -> [AlertDocument] {
    if StoreReplay.isStore(path) {
      let access = try StoreAccess(path: path, arguments)
      return try access.reading {
        var found: [AlertDocument] = []
        try access.store.alerts.forEachAlert { (transitions) throws(JournalError) in
          if let first = transitions.first, first.phase == .start, first.isNotified,
            let document = AlertDocument(json: first.document)
          {
            found.append(document)
          }
          return true
        }
        return found
      }
    }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandFailure(ExitCode.usage, "\(path): cannot be read; name a store or a file of `replay --alerts`")
    }
    var found: [AlertDocument] = []
    var line = 0
    for raw in text.split(separator: "\n", omittingEmptySubsequences: false) {
      line += 1
      if raw.allSatisfy(\.isWhitespace) { continue }
      guard let document = AlertDocument(json: String(raw)) else {
        throw CommandFailure(ExitCode.failed, "\(path):\(line): not an alert document")
      }
      if document.phase == .start, document.suppressed == nil { found.append(document) }
    }
    return found
  }
}

/// `label from-answers`: what people said of alerts when they acknowledged them, as labels.
enum AnswerLabels {
  static func run(_ path: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(path: path, arguments)
    let outcomes = try access.reading { try AlertHistory.outcomes(access.store.alerts) }
    var text = "patient_id,onset_time,end_time,label,source,alert_id,rule,rule_version,acknowledged_at\n"
    var counts: [AcknowledgementClass: Int] = [:]
    for outcome in outcomes {
      guard let judgement = outcome.judgement, let patient = access.directory.patientKey(outcome.patient) else {
        continue
      }
      counts[judgement, default: 0] += 1
      let cells = [
        patient.patient, Timestamp.format(outcome.start), outcome.end.map(Timestamp.format) ?? "",
        "answered-" + judgement.rawValue, "acknowledgement", outcome.alertID, outcome.rule, outcome.ruleVersion,
        outcome.acknowledgedAt.map(Timestamp.format) ?? "",
      ]
      text += cells.map(CSVText.cell).joined(separator: ",") + "\n"
    }
    try LabelCommand.write(text, to: arguments.value("--out"))
    let said = AcknowledgementClass.allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    let silent = outcomes.count - counts.values.reduce(0, +)
    printError("\(outcomes.count) alerts: \(said); \(silent) without a class")
    return ExitCode.ok
  }
}
