import Foundation
import Recordings
import Service
import Statistics
import VitalModel

/// `label import`: sheets that came back, put together into labels, with how far reviewers agreed.
enum ReviewImport {
  /// Whose an alert is and when it was.
  private struct Place {
    var patient: String
    var time: Int64
    var rule: String?
  }

  static func run(_ paths: [String], _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    var places: [String: Place] = [:]
    if let alerts = arguments.value("--alerts") {
      for document in try LabelCommand.alerts(alerts, arguments) {
        places[document.alertID] = Place(
          patient: document.patient, time: document.detectedTime, rule: document.ruleID)
      }
    }
    let hasAlerts = !places.isEmpty
    var verdicts: [ReviewedVerdict] = []
    var given: [String: AlertVerdict] = [:]
    var empty = 0
    // Where a sheet does not say who judged, its file's name does.
    var unnamed: [String: String] = [:]
    for path in paths {
      for row in try sheet(path) {
        guard let verdict = row.verdict else {
          empty += 1
          continue
        }
        let reviewer = row.reviewer.isEmpty ? stem(path) : row.reviewer
        if row.reviewer.isEmpty {
          let first = unnamed[reviewer] ?? path
          unnamed[reviewer] = first
          guard first == path else {
            throw CommandFailure(
              ExitCode.failed,
              "\(first) and \(path): without a column `reviewer` both would be by \(reviewer): rename one")
          }
        }
        let key = row.alertID + "\u{1F}" + reviewer
        if let earlier = given[key], earlier != verdict {
          throw CommandFailure(
            ExitCode.failed, "\(path):\(row.line): \(reviewer) judged alert \(row.alertID) twice, and not the same")
        }
        if places[row.alertID] == nil {
          guard !hasAlerts else {
            throw CommandFailure(ExitCode.failed, "\(path):\(row.line): --alerts has no alert \(row.alertID)")
          }
          guard let patient = row.patient, let time = row.time else {
            throw CommandFailure(
              ExitCode.failed,
              "\(path):\(row.line): no patient_id and time; say with --alerts what the sheet was made of")
          }
          places[row.alertID] = Place(patient: patient, time: time)
        }
        if given.updateValue(verdict, forKey: key) == nil {
          verdicts.append(ReviewedVerdict(alertID: row.alertID, reviewer: reviewer, verdict: verdict))
        }
      }
    }
    guard !verdicts.isEmpty else {
      throw CommandFailure(ExitCode.failed, "no verdict in \(paths.joined(separator: ", "))")
    }
    let order = Set(places.values.map(\.patient)).sorted()
    let numbers = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    let seed = try LabelCommand.seed(arguments)
    let adjudication = Adjudication(verdicts, seed: seed) { numbers[places[$0]?.patient ?? ""] ?? 0 }
    try LabelCommand.write(labels(adjudication, places), to: arguments.value("--out"))
    let facts =
      arguments.has("--json")
      ? json(adjudication, empty: empty, seed: seed) : text(adjudication, empty: empty)
    // Beside labels on standard output they would be taken for labels.
    if arguments.value("--out") ?? "-" == "-" { printError(facts) } else { printLine(facts) }
    return ExitCode.ok
  }

  private static func sheet(_ path: String) throws(CommandFailure) -> [ReviewedRow] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandFailure(ExitCode.usage, "\(path): cannot be read as UTF-8 text")
    }
    if text.first(where: { !$0.isWhitespace }) == "{" { return try jsonSheet(text, path) }
    do throws(LabelProblem) { return try ReviewedSheet(text, file: path).rows } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// A sheet as `label export` writes it to a name that ends in `.json`, verdicts filled in.
  private struct JSONSheet: Decodable {
    struct Alert: Decodable {
      var alertID: String
      var verdict: String?
      var reviewer: String?
      var patientID: String?
      var time: String?

      enum CodingKeys: String, CodingKey {
        case alertID = "alert_id"
        case patientID = "patient_id"
        case verdict, reviewer, time
      }
    }
    var alerts: [Alert]
  }

  private static func jsonSheet(_ text: String, _ path: String) throws(CommandFailure) -> [ReviewedRow] {
    guard let sheet = try? JSONDecoder().decode(JSONSheet.self, from: Data(text.utf8)) else {
      throw CommandFailure(ExitCode.failed, "\(path): not a sheet of `vigil label export`")
    }
    var rows: [ReviewedRow] = []
    for (number, alert) in sheet.alerts.enumerated() {
      let word = alert.verdict ?? ""
      let verdict = AlertVerdict(text: word)
      guard word.isEmpty || verdict != nil else {
        throw CommandFailure(
          ExitCode.failed,
          "\(path): alert \(number + 1): verdict `\(word.prefix(40))` is none of true, actionable, false, not-relevant, unsure"
        )
      }
      rows.append(
        ReviewedRow(
          line: number + 1, alertID: alert.alertID, verdict: verdict, reviewer: alert.reviewer ?? "",
          patient: alert.patientID, time: alert.time.flatMap { Timestamp.parse($0) }))
    }
    return rows
  }

  private static func stem(_ path: String) -> String {
    URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
  }

  private static func labels(_ adjudication: Adjudication, _ places: [String: Place]) -> String {
    var rows: [(place: Place, decision: Adjudication.Decision)] = []
    for decision in adjudication.decisions {
      if let place = places[decision.alertID] { rows.append((place, decision)) }
    }
    rows.sort {
      ($0.place.patient, $0.place.time, $0.decision.alertID) < ($1.place.patient, $1.place.time, $1.decision.alertID)
    }
    var text = "patient_id,onset_time,label,source,alert_id,rule,reviewers,agreeing,tie\n"
    for (place, decision) in rows {
      let cells = [
        place.patient, Timestamp.format(place.time), decision.verdict.label, "review", decision.alertID,
        place.rule ?? "", "\(decision.reviewers)", "\(decision.agreeing)", decision.isTie ? "1" : "0",
      ]
      text += cells.map(CSVText.cell).joined(separator: ",") + "\n"
    }
    return text
  }

  // MARK: What is told

  private static func counts(_ adjudication: Adjudication) -> [(verdict: AlertVerdict, count: Int)] {
    AlertVerdict.allCases.map { verdict in (verdict, adjudication.decisions.count { $0.verdict == verdict }) }
  }

  private static func text(_ adjudication: Adjudication, empty: Int) -> String {
    let said = counts(adjudication).map { "\($0.count) \($0.verdict.rawValue)" }.joined(separator: ", ")
    var lines = ["\(adjudication.decisions.count) alerts judged by \(adjudication.reviewers.count): \(said)"]
    let ties = adjudication.decisions.count { $0.isTie }
    if ties > 0 { lines.append("\(ties) ties count as unsure") }
    if empty > 0 { lines.append("\(empty) rows without a verdict") }
    for pair in adjudication.pairs {
      lines.append(line("Cohen's kappa of \(pair.first) and \(pair.second)", pair.figure))
    }
    if let all = adjudication.all { lines.append(line("Fleiss' kappa of all", all)) }
    return lines.joined(separator: "\n")
  }

  private static func line(_ name: String, _ figure: AgreementFigure) -> String {
    func number(_ value: Double) -> String { String(format: "%.3f", value) }
    var text = "\(name): " + (figure.kappa.map(number) ?? "none (everybody always said the same)")
    if let interval = figure.interval {
      text += " (95 % \(number(interval.lower)) to \(number(interval.upper)), patients resampled)"
    }
    return text + "; agreed \(String(format: "%.0f", figure.agreed * 100)) % of \(figure.items) alerts, "
      + "\(figure.patients) patients"
  }

  private static func json(_ adjudication: Adjudication, empty: Int, seed: UInt64) -> String {
    var out = JSONText()
    out.object { out in
      out.field("alerts", adjudication.decisions.count)
      out.field("reviewers", adjudication.reviewers)
      out.object("verdicts") { out in
        for (verdict, count) in counts(adjudication) { out.field(verdict.rawValue, count) }
      }
      out.field("ties", adjudication.decisions.count { $0.isTie })
      out.field("without_verdict", empty)
      out.array("pairs") { out in
        for pair in adjudication.pairs {
          out.object { out in
            out.field("first", pair.first)
            out.field("second", pair.second)
            write(pair.figure, "cohen", to: &out)
          }
        }
      }
      if let all = adjudication.all {
        out.object("all") { write(all, "fleiss", to: &$0) }
      } else {
        out.null("all")
      }
      out.field("seed", String(seed))
    }
    return out.text
  }

  private static func write(_ figure: AgreementFigure, _ method: String, to out: inout JSONText) {
    out.field("method", method)
    out.field("kappa", figure.kappa)
    if let interval = figure.interval {
      out.object("interval") { out in
        out.field("lower", interval.lower)
        out.field("upper", interval.upper)
        out.field("method", interval.method.rawValue)
      }
    } else {
      out.null("interval")
    }
    out.field("standard_error", figure.standardError)
    out.field("agreed", figure.agreed)
    out.field("alerts", figure.items)
    out.field("patients", figure.patients)
  }
}
