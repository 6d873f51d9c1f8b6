import RuleLanguage
import Statistics
import VitalModel

/// A fitted score and the rule that alerts by it as the texts of rule files: what is judged is what is written.
package struct FittedScoreText: Sendable {
  /// Of the rule: lower-case letters, digits and hyphens.
  package let id: String
  package let title: String
  private let fit: ScoreFitting
  private let candidates: [ScoreCandidates.Candidate]

  package init(_ fit: ScoreFitting, id: String, _ candidates: ScoreCandidates) {
    self.fit = fit
    self.id = id
    title = candidates.title
    self.candidates = candidates.candidates
  }

  /// Of the score: underscores in place of hyphens.
  package var scoreID: String { id.replacing("-", with: "_") }

  /// When people are told: everything of the rule that is no item of the score.
  package struct Policy: Hashable, Sendable {
    /// The total from which it alerts, and how far below it ends.
    package var limit: Int
    package var margin: Int
    /// Milliseconds: how long the total must stay there, how long after an end it is quiet, and after how long an alert
    /// still open is told anew.
    package var hold: Int64 = 0
    package var refractory: Int64 = 0
    package var renew: Int64

    package init(limit: Int, margin: Int, hold: Int64 = 0, refractory: Int64 = 0, renew: Int64) {
      self.limit = limit
      self.margin = margin
      self.hold = hold
      self.refractory = refractory
      self.renew = renew
    }
  }

  /// The longest hold a policy may have, milliseconds.
  package static let holdMax: Int64 = 43_200_000

  /// How far below its limit an alert may end at most, by the most points a score gives; a limit is above it, so that a
  /// total can end the alert, and below the most points, which alert at once.
  package static func marginMax(most: Int) -> Int { min(4, most / 3) }

  /// The chart, as `Rules/scores` holds them.
  package func score(source: String) -> String {
    var lines = [
      "score: \(scoreID)", "title: \(YAMLWriting.quoted(title))", "source: \(YAMLWriting.quoted(source))",
      "range: [0, \(fit.most)]", "components:",
    ]
    for item in fit.items {
      let candidate = candidates[item.input]
      lines.append("  - name: \(candidate.name)")
      lines.append("    value: \(YAMLWriting.quoted(candidate.value))")
      if let resolution = candidate.resolution { lines.append("    resolution: \(resolution)") }
      lines.append("    absent: 0")
      let bands = item.bands.map { "[\(end($0.upTo, candidate)), \($0.points)]" }
      lines.append("    bands: [\(bands.joined(separator: ", "))]")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The rule that alerts by it.
  package func rule(_ policy: Policy, source: String, rationale: String, priority: Priority = .medium) -> String {
    let most = max(1, fit.most)
    let margin = FittedScoreText.marginMax(most: most)
    return """
      rule: \(id)
      title: \(YAMLWriting.quoted(title))
      source: \(YAMLWriting.quoted(source))
      rationale: \(YAMLWriting.quoted(rationale))
      priority: \(priority.text)
      parameters:
        limit: { default: \(policy.limit), min: \(margin + 1), max: \(max(1, most - 1)), unit: "{score}" }
        margin: { default: \(policy.margin), min: 0, max: \(margin), unit: "{score}" }
        hold: { default: \(duration(policy.hold)), min: 0s, max: \(duration(FittedScoreText.holdMax)) }
        quiet: { default: \(duration(policy.refractory)), min: 0s, max: 24h }
        again: { default: \(duration(policy.renew)), min: 1h, max: 7d }
      when: \(scoreID)().total >= $limit
      for: $hold
      clear: { when: "\(scoreID)().total < $limit - $margin", for: 0s }
      # Any wait needs what acts at once: the most points there are.
      bypass: { when: "\(scoreID)().total >= \(most)", priority: \(priority.text) }
      max_hold: \(duration(FittedScoreText.holdMax))
      refractory: $quiet
      renew: $again
      message: \(YAMLWriting.quoted(title + " {value} (limit {limit})"))

      """
  }

  /// Chart and rule in one file that runs alone.
  ///
  /// - Parameters:
  ///   - provenance: what it was fitted and tuned on, one line.
  ///   - head: comment lines, without their `#`.
  package func source(
    _ policy: Policy, path: String, provenance: String, rationale: String = "", head: [String] = []
  ) -> RuleSource {
    let comments = head.map { ($0.isEmpty ? "#" : "# " + $0) + "\n" }.joined()
    let why = rationale.isEmpty ? "A person looks at the patient; alerts still open are told anew." : rationale
    return RuleSource(
      path: path,
      text: comments + score(source: provenance) + "---\n" + rule(policy, source: provenance, rationale: why))
  }

  private func end(_ value: Int32, _ candidate: ScoreCandidates.Candidate) -> String {
    value == .max ? "max" : FittedScoreText.number(value, exponent: candidate.exponent)
  }

  private func duration(_ milliseconds: Int64) -> String { DurationText.format(milliseconds) }

  /// Grid steps as a decimal.
  package static func number(_ grid: Int32, exponent: Int) -> String {
    DecimalValue(mantissa: Int64(grid), exponent: Int8(clamping: exponent)).description
  }

  // MARK: For people

  /// One line an item: what it looks at, and points by band.
  package var table: [(name: String, value: String, bands: [(range: String, points: Int)])] {
    fit.items.map { item in
      let candidate = candidates[item.input]
      var bands: [(range: String, points: Int)] = []
      var before: String?
      for band in item.bands {
        let end = end(band.upTo, candidate)
        let range =
          switch (before, band.upTo) {
          case (nil, _): "up to \(end)"
          case (let before?, .max): "above \(before)"
          case (let before?, _): "above \(before) to \(end)"
          }
        bands.append((range, band.points))
        before = end
      }
      return (candidate.name, candidate.value, bands)
    }
  }
}
