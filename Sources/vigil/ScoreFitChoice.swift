import Statistics

/// The policy chosen within a budget: by fold, on the patients of the other folds, and on everybody for the final score.
struct ScoreFitChoice {
  /// Margins this close to the greatest are as good: of those policies the one that detects most is chosen.
  static let marginClose = 0.02

  /// What a policy should reach at once; nil: no more than the budget is asked.
  struct Targets: Hashable {
    var sensitivity: Double
    var margin: Double

    /// By how much the one further from its target is beyond it; below zero where it falls short.
    func surplus(_ sums: TuningSums) -> Double {
      min((sums.sensitivity ?? 0) - sensitivity, (sums.margin ?? -1) - margin)
    }
  }

  private let budget: Double
  private let targets: Targets?
  /// Positions of trials.
  private(set) var folds: [Int] = []
  private(set) var final = 0
  /// Why the final one is not what was asked for, in words; nil: it is.
  private(set) var shortfall: String?

  var all: [Int] { folds + [final] }

  init(
    _ budget: Double, _ targets: Targets?, _ trials: [ScoreFitPolicies.Trial], _ tallies: [SettingTally],
    _ tuning: TuningCohort
  ) {
    self.budget = budget
    self.targets = targets
    for score in 0...tuning.folds.count {
      let isLast = score == tuning.folds.count
      let mask = TuningMask(tuning, isLast ? tuning.folds.all : tuning.folds.training(without: score))
      let sums = trials.indices.filter { trials[$0].score == score && $0 < tallies.count }
        .map { (position: $0, sums: mask.sums(tallies[$0], of: tuning)) }
      let (position, shortfall) = best(sums)
      if isLast { (final, self.shortfall) = (position, shortfall) } else { folds.append(position) }
    }
  }

  /// What is chosen by, in words.
  static func words(_ budget: Double, _ targets: Targets?, _ number: (Double) -> String) -> String {
    let within = "at most \(number(budget)) alerts per patient-day"
    if let targets {
      return "furthest beyond, or nearest to, a sensitivity of \(number(targets.sensitivity)) and a margin of "
        + "\(number(targets.margin)) at once, with \(within)"
    }
    return "most events detected among the margins at most \(number(marginClose)) below the greatest, with \(within)"
  }

  private func best(_ found: [(position: Int, sums: TuningSums)]) -> (position: Int, shortfall: String?) {
    let within = found.filter { ($0.sums.burden ?? .infinity) <= budget }
    guard let greatest = within.compactMap(\.sums.margin).max() else {
      // The one nearest to the budget.
      let least = found.min { ($0.sums.alerts, $0.position) < ($1.sums.alerts, $1.position) }
      return (
        least?.position ?? 0,
        within.isEmpty
          ? "no policy tried keeps to the budget" : "no event has a matched control, so there is no margin to choose by"
      )
    }
    if let targets {
      let chosen = within.min { a, b in
        let (one, other) = (targets.surplus(a.sums), targets.surplus(b.sums))
        return (other, a.sums.alerts, a.position) < (one, b.sums.alerts, b.position)
      }
      return (chosen?.position ?? 0, nil)
    }
    let close = within.filter { $0.sums.margin ?? -.infinity >= greatest - ScoreFitChoice.marginClose }
    let most = close.min { a, b in
      (b.sums.detected, a.sums.alerts, a.position) < (a.sums.detected, b.sums.alerts, b.position)
    }
    return (most?.position ?? 0, nil)
  }

  /// Each patient's counts under what was chosen without their fold.
  func pooled(_ tallies: [SettingTally], _ tuning: TuningCohort, seed: UInt64) -> SettingTally {
    NestedChoice(
      tuning, tallies, objective: .greatestMargin(burden: budget), candidates: folds.map { [$0] }, final: [final],
      seed: seed
    ).pooled
  }
}
