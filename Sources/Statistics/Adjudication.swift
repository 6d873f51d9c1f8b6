/// What a reviewer says of an alert.
package enum AlertVerdict: String, Sendable, CaseIterable {
  /// It told of something true that somebody had to act on.
  case isTrue = "true"
  case isFalse = "false"
  /// True, and nothing to act on.
  case notRelevant = "not-relevant"
  case unsure

  /// As reviewers write it, in any case; nil: none of the words.
  package init?(text: some StringProtocol) {
    let word = text.lowercased()
    if word == "actionable" {
      self = .isTrue
    } else if let verdict = AlertVerdict(rawValue: word.replacing("_", with: "-").replacing(" ", with: "-")) {
      self = verdict
    } else {
      return nil
    }
  }

  /// The kind of label it becomes.
  package var label: String { "adjudicated-" + rawValue }

  package var number: Int { AlertVerdict.allCases.firstIndex(of: self) ?? 0 }

  /// What most said; a tie is `unsure`; nil: nobody said anything.
  package static func majority(_ verdicts: [AlertVerdict]) -> AlertVerdict? {
    guard !verdicts.isEmpty else { return nil }
    let counts = allCases.map { verdict in verdicts.count { $0 == verdict } }
    let most = counts.max() ?? 0
    let winners = allCases.filter { counts[$0.number] == most }
    return winners.count == 1 ? winners[0] : .unsure
  }
}

/// One reviewer's word about one alert.
package struct ReviewedVerdict: Hashable, Sendable {
  package var alertID: String
  package var reviewer: String
  package var verdict: AlertVerdict

  package init(alertID: String, reviewer: String, verdict: AlertVerdict) {
    self.alertID = alertID
    self.reviewer = reviewer
    self.verdict = verdict
  }
}

/// Verdicts of all reviewers put together.
package struct Adjudication: Sendable {
  package struct Decision: Hashable, Sendable {
    package var alertID: String
    package var verdict: AlertVerdict
    /// How many judged it, and how many of them said what was decided.
    package var reviewers: Int
    package var agreeing: Int
    /// No verdict had most votes.
    package var isTie: Bool
  }

  package struct Pair: Hashable, Sendable {
    package var first: String
    package var second: String
    package var figure: AgreementFigure
  }

  /// Sorted.
  package let reviewers: [String]
  /// By alert id.
  package let decisions: [Decision]
  /// Each two reviewers who judged something in common: Cohen's kappa.
  package let pairs: [Pair]
  /// Fleiss' kappa; nil with fewer than three reviewers, or nothing judged by all.
  package let all: AgreementFigure?

  /// - Parameters:
  ///   - verdicts: at most one of each reviewer for each alert; a later one takes the place of an earlier.
  ///   - patient: a number for an alert's patient.
  package init(_ verdicts: [ReviewedVerdict], seed: UInt64, patient: (String) -> Int) {
    let reviewers = Set(verdicts.map(\.reviewer)).sorted()
    let places = Dictionary(uniqueKeysWithValues: reviewers.enumerated().map { ($1, $0) })
    var table: [String: [AlertVerdict?]] = [:]
    for verdict in verdicts {
      guard let place = places[verdict.reviewer] else { continue }
      table[verdict.alertID, default: Array(repeating: nil, count: reviewers.count)][place] = verdict.verdict
    }
    let alerts = table.keys.sorted()
    let items = alerts.map { alert in
      JudgedItem(patient: patient(alert), categories: (table[alert] ?? []).map { $0?.number })
    }
    decisions = alerts.compactMap { alert in
      let given = (table[alert] ?? []).compactMap { $0 }
      guard let verdict = AlertVerdict.majority(given) else { return nil }
      let agreeing = given.count { $0 == verdict }
      let isTie =
        verdict == .unsure
        && AlertVerdict.allCases.contains { other in
          other != .unsure && given.count { $0 == other } >= max(1, agreeing)
        }
      return Decision(
        alertID: alert, verdict: verdict, reviewers: given.count, agreeing: agreeing, isTie: isTie)
    }
    let count = AlertVerdict.allCases.count
    var pairs: [Pair] = []
    for first in reviewers.indices {
      for second in reviewers.indices where second > first {
        if let figure = Agreement.cohen(items, (first, second), categories: count, seed: seed) {
          pairs.append(Pair(first: reviewers[first], second: reviewers[second], figure: figure))
        }
      }
    }
    self.reviewers = reviewers
    self.pairs = pairs
    all = reviewers.count > 2 ? Agreement.fleiss(items, categories: count, seed: seed) : nil
  }
}
