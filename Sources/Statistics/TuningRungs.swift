/// One step of successive halving: what was tried, on how many patients.
package struct TuningRung: Hashable, Sendable {
  package var settings: Int
  package var patients: Int
  package var events: Int
  /// Of the patients not held out.
  package var share: Double
}

/// Successive halving (Jamieson and Talwalkar 2016): all settings on a few patients, the best third of them on three times as
/// many, and so on. Each fold keeps a third of its own, chosen without its patients, so that what is judged on a fold was
/// never chosen on it.
package struct TuningRungs {
  /// Of the settings one in so many goes on, to so many times the patients.
  package static let eta = 3
  /// The first step has at least so many events, the last at least so many settings.
  package static let eventsMin = 20
  package static let settingsMin = 9

  package let settings: Int
  /// Share of the patients at each step; the last is all of them.
  package let shares: [Double]
  /// Settings each fold keeps for each step.
  package let kept: [Int]

  package init(settings: Int, events: Int) {
    var steps = 0
    while steps < 6, settings / TuningRungs.power(steps + 1) >= TuningRungs.settingsMin,
      events / TuningRungs.power(steps + 1) >= TuningRungs.eventsMin
    { steps += 1 }
    self.settings = settings
    shares = (0...steps).map { 1 / Double(TuningRungs.power(steps - $0)) }
    kept = (0...steps).map { (settings + TuningRungs.power($0) - 1) / TuningRungs.power($0) }
  }

  private static func power(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { product, _ in product * eta } }

  /// What is left for each fold and for the final choice, with the counts of every setting left over.
  package struct Outcome: Sendable {
    /// Settings of ``tallies``, by position in the grid.
    package var positions: [Int]
    package var tallies: [SettingTally]
    /// Places in ``positions`` each fold may choose from, and those of the final choice.
    package var candidates: [[Int]]
    package var final: [Int]
    package var rungs: [TuningRung]
  }

  /// - Parameters:
  ///   - positions: of the settings, as many as the plan was made for.
  ///   - tallies: counts of some settings over some patients, in the order asked; nobody else's alerts are looked at. The last
  ///     time it is asked for everybody, those held out among them: they are judged, never chosen by.
  package func run<Failure: Error>(
    _ positions: [Int], _ cohort: TuningCohort, _ objective: TuningObjective, seed: UInt64,
    tallies evaluate: (_ positions: [Int], _ isIn: [Bool]) throws(Failure) -> [SettingTally]
  ) throws(Failure) -> Outcome {
    let folds = cohort.folds
    // The last is that of the final choice.
    var survivors = [[Int]](repeating: positions, count: folds.count + 1)
    var rungs: [TuningRung] = []
    for (step, share) in shares.enumerated() {
      let asked = Set(survivors.joined()).sorted()
      let isLast = step == shares.count - 1
      let isIn = isLast ? folds.all : folds.nested(share)
      let tallies = try evaluate(asked, isLast ? isIn.map { _ in true } : isIn)
      let events = cohort.cohort.events.count { isIn[$0.patient] }
      rungs.append(
        TuningRung(settings: asked.count, patients: isIn.count { $0 }, events: events, share: share))
      let places = Dictionary(uniqueKeysWithValues: asked.enumerated().map { ($1, $0) })
      guard !isLast else {
        let candidates = survivors.map { $0.compactMap { places[$0] } }
        return Outcome(
          positions: asked, tallies: tallies, candidates: Array(candidates.dropLast()), final: candidates[folds.count],
          rungs: rungs)
      }
      for fold in survivors.indices {
        let training = fold == folds.count ? folds.all : folds.training(without: fold)
        let chooser = SettingChooser(
          cohort, objective, among: zip(isIn, training).map { $0 && $1 }, resamples: 1, seed: seed)
        survivors[fold] = chooser.best(kept[step + 1], of: survivors[fold].compactMap { places[$0] }, tallies)
          .map { asked[$0] }.sorted()
      }
    }
    return Outcome(positions: [], tallies: [], candidates: [], final: [], rungs: rungs)
  }
}
