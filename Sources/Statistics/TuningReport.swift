import VitalModel

/// Everything a tuning is made of: what was tried, and what it came to.
package struct TuningInput: Sendable {
  package var cohort: TuningCohort
  package var grid: TuningGrid
  /// Settings tried on everybody, by their place in the grid, and what they came to.
  package var positions: [Int]
  package var tallies: [SettingTally]
  /// The rules as they are, and the value each axis has in them.
  package var today: SettingTally
  package var todayValues: [DecimalValue] = []
  package var objective: TuningObjective
  /// Places in ``tallies`` each fold may choose from, and those of the final choice; nil: all.
  package var candidates: [[Int]]?
  package var final: [Int]?
  package var rungs: [TuningRung] = []
  /// The column of the roster whose values are the folds; nil: folds of equal size.
  package var foldBy: String?
  /// `grid`, `random` or `halving`.
  package var search = "grid"
  /// At least a thousand.
  package var resamples = 2000
  package var seed: UInt64 = 1
  package var rules: [String] = []
  package var dataDigest = ""
  package var rulesVersion = ""
  /// Over the names of the patients held out; empty: nobody was.
  package var heldOutDigest = ""

  package init(
    cohort: TuningCohort, grid: TuningGrid, positions: [Int], tallies: [SettingTally], today: SettingTally,
    objective: TuningObjective
  ) {
    self.cohort = cohort
    self.grid = grid
    self.positions = positions
    self.tallies = tallies
    self.today = today
    self.objective = objective
  }
}

extension TuningInput {
  /// What the folds were.
  package var foldWords: String {
    "\(cohort.folds.count) folds by "
      + (foldBy.map { "\($0) (\(cohort.folds.names.joined(separator: ", ")))" } ?? "patient")
  }
}

/// What was chosen, how good it really is, and how sure that is. The same input gives the same report.
package struct TuningReport: Sendable {
  package let input: TuningInput
  package let choice: NestedChoice
  package let folds: [Fold]
  /// Every setting on the patients it was chosen on; those of the fronts, the chosen one and today's have intervals.
  package let points: [OperatingPoint]
  /// Positions in ``points``, by burden.
  package let frontOfSensitivity: [Int]
  package let frontOfMargin: [Int]
  /// The chosen setting on the very patients it was chosen on: it flatters.
  package let apparent: TuningFigures
  package let today: TuningFigures
  /// Each patient under the setting chosen without their fold: the figures to quote.
  package let crossValidated: TuningFigures
  /// ``crossValidated`` less ``today``, paired by patient.
  package let difference: TuningDifference
  /// The chosen setting on patients nobody had looked at; nil: none were held out.
  package let heldOut: TuningFigures?
  package let groups: [Group]
  /// nil: the objective has no spread.
  package let flatness: TuningFlatness?

  /// One fold: what was chosen without it, and what that came to in it.
  package struct Fold: Sendable {
    package let name: String
    package let choice: SettingChoice
    package let judged: TuningSums
  }

  /// Patients of one kind under the settings chosen without them, and under today's.
  package struct Group: Sendable {
    package let column: String
    /// nil: not known.
    package let value: String?
    package let crossValidated: TuningFigures
    package let today: TuningFigures
  }

  /// Settings of the fronts that are given intervals: more says no more and takes long.
  static let bandsMax = 40

  /// O(resamples × patients × settings of the fronts).
  package init(_ input: TuningInput) {
    let cohort = input.cohort
    let everybody = cohort.folds.all
    let mask = TuningMask(cohort, everybody)
    let choice = NestedChoice(
      cohort, input.tallies, objective: input.objective, candidates: input.candidates, final: input.final,
      seed: input.seed)
    let plain = input.tallies.map { TuningFigures($0, of: cohort, among: mask) }
    frontOfSensitivity = TuningFront.positions(plain.map { ($0.sums.burden ?? 0, $0.sums.sensitivity) })
    frontOfMargin = TuningFront.positions(plain.map { ($0.sums.burden ?? 0, $0.sums.margin) })

    let chosen = choice.final.position
    let shown = Set(
      TuningFront.thinned(frontOfSensitivity, to: TuningReport.bandsMax)
        + TuningFront.thinned(frontOfMargin, to: TuningReport.bandsMax) + [chosen]
    ).sorted()
    let figures = TuningFigures.all(
      [choice.pooled, input.today] + shown.map { input.tallies[$0] }, of: cohort, among: everybody,
      resamples: input.resamples, seed: input.seed, objective: input.objective)
    crossValidated = figures[0]
    today = figures[1]
    let banded = Dictionary(uniqueKeysWithValues: zip(shown, figures.dropFirst(2)))
    let apparent = banded[chosen] ?? plain[chosen]
    self.apparent = apparent
    difference = TuningDifference.between(
      choice.pooled, input.today, of: cohort, among: everybody, resamples: input.resamples, seed: input.seed)
    let onFront = Set(input.objective.isOfMargin ? frontOfMargin : frontOfSensitivity)
    points = plain.indices.map { place in
      var point = (banded[place] ?? plain[place]).point(values: input.grid.texts(input.positions[place]))
      point.isOnFront = onFront.contains(place)
      point.isChosen = place == chosen
      point.isToday = input.grid.values(input.positions[place]) == input.todayValues
      return point
    }
    folds = choice.folds.map { fold in
      let judged = TuningMask(cohort, cohort.folds.members(of: fold.fold))
      return Fold(
        name: cohort.folds.names[fold.fold], choice: fold.choice,
        judged: judged.sums(input.tallies[fold.choice.position], of: cohort))
    }
    heldOut =
      cohort.folds.hasHeldOut
      ? TuningFigures.all(
        [input.tallies[chosen]], of: cohort, among: cohort.folds.heldOutMask, resamples: input.resamples,
        seed: input.seed, objective: input.objective)[0]
      : nil
    groups = TuningReport.groups(input, choice.pooled)
    flatness = TuningReport.flatness(input, choice.final, plain, spread: apparent.spread)
    self.choice = choice
    self.input = input
  }

  /// Why the chosen setting does not reach what was sought, in one line; nil: it does.
  package var shortfall: String? {
    let final = choice.final
    guard !final.meetsTarget else { return nil }
    return final.value == nil ? input.objective.lackWords : "no setting reaches it"
  }

  /// ``points`` with today's setting among them, tried or not.
  package var pointsWithToday: [OperatingPoint] {
    if points.contains(where: \.isToday) { return points }
    let values = zip(input.grid.axes, input.todayValues).map { (name: $0.label, value: $0.text($1)) }
    var point = today.point(values: values)
    point.isToday = true
    return points + [point]
  }

  private static func groups(_ input: TuningInput, _ pooled: SettingTally) -> [Group] {
    let everybody = input.cohort.folds.all
    return input.cohort.cohort.groups.flatMap { column in
      let known = Set(column.values.compactMap { $0 }).sorted()
      let values: [String?] = column.values.contains(nil) ? known + [nil] : known
      return values.compactMap { value -> Group? in
        let isIn = everybody.indices.map { everybody[$0] && column.values[$0] == value }
        guard isIn.contains(true) else { return nil }
        let figures = TuningFigures.all(
          [pooled, input.today], of: input.cohort, among: isIn, resamples: PatientResamples.countMin,
          seed: input.seed)
        return Group(column: column.name, value: value, crossValidated: figures[0], today: figures[1])
      }
    }
  }

  private static func flatness(
    _ input: TuningInput, _ chosen: SettingChoice, _ plain: [TuningFigures], spread: Double?
  ) -> TuningFlatness? {
    guard let spread, let best = chosen.value, spread.isFinite else { return nil }
    let candidates = input.final ?? Array(input.tallies.indices)
    let near = candidates.filter { place in
      input.objective.value(plain[place].sums).map { abs($0 - best) <= spread } ?? false
    }
    let chooser = SettingChooser(
      input.cohort, input.objective, among: input.cohort.folds.all, resamples: PatientResamples.countMin,
      seed: input.seed)
    // Where nothing reaches the target, what comes as near as the chosen one does not either.
    let within = chosen.meetsTarget ? chooser.eligible(near, input.tallies) : near
    let values = within.map { input.grid.values(input.positions[$0]) }
    let ranges = input.grid.axes.indices.compactMap { index -> TuningFlatness.Range? in
      let axis = input.grid.axes[index]
      let own = values.map { $0[index] }.sorted { $0.double < $1.double }
      guard let low = own.first, let high = own.last else { return nil }
      let all = axis.values.map(\.double)
      return TuningFlatness.Range(
        label: axis.label, lowest: axis.text(low), highest: axis.text(high),
        isWhole: low.double == all.min() && high.double == all.max())
    }
    return TuningFlatness(spread: spread, within: within.count, count: candidates.count, ranges: ranges)
  }
}

extension TuningObjective {
  /// Whether the margin, not the sensitivity, is what burden is weighed against.
  var isOfMargin: Bool { if case .greatestMargin = self { true } else { false } }
}
