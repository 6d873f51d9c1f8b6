import Service
import Statistics
import VitalModel

/// Policies tried for fitted scores, and what came of each: first limits with times of renewal and holds, then the other parts
/// of the policy one after the other around the best so far. Every one is judged by the engine; what steers the search of a
/// fold's score are the patients of the other folds.
struct ScoreFitPolicies {
  typealias Policy = FittedScoreText.Policy

  /// One policy of one score.
  struct Trial: Hashable {
    /// Position of the score: by fold, then the one fitted on everybody.
    var score: Int
    var policy: Policy
  }

  private static let hour: Int64 = 3_600_000
  private static let renewals: [Int64] = [8, 12, 14, 16, 18].map { $0 * hour }
  private static let margins = [0, 1, 3, 4]
  private static let refractories: [Int64] = [4, 8].map { $0 * hour }
  /// With each limit from the beginning: a lower limit that must last is another policy than a higher one at once.
  private static let firstHolds: [Int64] = [0, 2 * hour]
  private static let holds: [Int64] = [1, 3].map { $0 * hour }
  /// Limits tried are those this share of the rows reaches.
  private static let shares = 0.01...0.4

  private(set) var trials: [Trial] = []
  private var known: Set<Trial> = []
  /// By score: the most points it can give.
  private let most: [Int]

  /// - Parameters:
  ///   - totals: by score, of every row it was fitted on.
  ///   - most: by score, the most points it can give.
  init(totals: [[Int]], most: [Int]) {
    self.most = most
    for (score, totals) in totals.enumerated() {
      for limit in ScoreFitPolicies.limits(totals, most: most[score]) {
        for (renew, hold) in ScoreFitPolicies.renewals.flatMap({ renew in
          ScoreFitPolicies.firstHolds.map { (renew, $0) }
        }) {
          let margin = min(2, FittedScoreText.marginMax(most: most[score]))
          add(Trial(score: score, policy: Policy(limit: limit, margin: margin, hold: hold, renew: renew)))
        }
      }
    }
  }

  private static func limits(_ totals: [Int], most: Int) -> [Int] {
    let highest = totals.max() ?? 0
    guard highest > 0 else { return [most - 1] }
    var reached = [Int](repeating: 0, count: highest + 2)
    for total in totals { reached[max(0, total)] += 1 }
    for total in stride(from: highest - 1, through: 0, by: -1) { reached[total] += reached[total + 1] }
    let found = (1...highest).filter { shares.contains(Double(reached[$0]) / Double(totals.count)) }
    // The highest limit there is is always tried, so that no score is without a policy.
    return found.contains(most - 1) ? found : found + [most - 1]
  }

  private mutating func add(_ trial: Trial) {
    let (policy, most) = (trial.policy, most[trial.score])
    let margin = FittedScoreText.marginMax(most: most)
    // As the parameters of the rule allow.
    guard margin < policy.limit, policy.limit < most, policy.margin <= margin, known.insert(trial).inserted else {
      return
    }
    trials.append(trial)
  }

  /// Adds the neighbours of the best so far.
  ///
  /// - Parameter round: 0: margins; 1: refractory times and holds; 2: times of renewal.
  mutating func refine(around best: [Trial], round: Int) {
    for trial in best {
      for step in -1...1 {
        var policy = trial.policy
        policy.limit += step
        for other in ScoreFitPolicies.others(policy, round: round) {
          add(Trial(score: trial.score, policy: other))
        }
      }
    }
  }

  static let rounds = 3

  private static func others(_ policy: Policy, round: Int) -> [Policy] {
    func changed(_ change: (inout Policy) -> Void) -> Policy {
      var other = policy
      change(&other)
      return other
    }
    if round == 0 { return [policy] + margins.map { margin in changed { $0.margin = margin } } }
    if round == 2 {
      return [-2, -1, 1, 2].map { step in changed { $0.renew = max(hour, $0.renew + step * hour) } }
    }
    return [policy] + refractories.map { time in changed { $0.refractory = time } }
      + holds.map { time in changed { $0.hold = time } }
  }
}
