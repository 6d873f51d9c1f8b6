/// The setting chosen on some patients.
package struct SettingChoice: Hashable, Sendable {
  /// Position among the tallies.
  package var position: Int
  /// Whether it reaches what was asked of it; else it comes nearest.
  package var meetsTarget: Bool
  /// Of the objective on the patients it was chosen on; nil: they do not have it.
  package var value: Double?
  /// How far it stays behind the target, in the target's own measure; infinite without a ``value``.
  package var miss: Double
}

/// What was chosen without one fold.
package struct FoldChoice: Hashable, Sendable {
  package var fold: Int
  package var choice: SettingChoice
}

/// Chooses a setting on all folds but one, judges it on that one, each fold in turn, and puts the judged patients together:
/// what comes of it was chosen on none of the patients it is told of (Stone 1974). Then chooses on all of them.
package struct NestedChoice: Sendable {
  package let folds: [FoldChoice]
  package let final: SettingChoice
  /// Each patient's counts under the setting chosen without their fold.
  package let pooled: SettingTally

  /// - Parameters:
  ///   - candidates: by fold, positions that may be chosen when it is left out (scores fitted without it); nil: all.
  ///   - final: positions that may be chosen in the end; nil: all.
  ///   - resamples: of the lower bound of sensitivity, where the objective asks for one.
  /// - Precondition: candidates in every fold.
  package init(
    _ cohort: TuningCohort, _ tallies: [SettingTally], objective: TuningObjective, candidates: [[Int]]? = nil,
    final: [Int]? = nil, resamples: Int = PatientResamples.countMin, seed: UInt64
  ) {
    let all = Array(tallies.indices)
    func choose(_ positions: [Int], _ isIn: [Bool]) -> SettingChoice {
      SettingChooser(cohort, objective, among: isIn, resamples: resamples, seed: seed).choose(positions, tallies)
    }
    let folds = (0..<cohort.folds.count).map { fold in
      FoldChoice(fold: fold, choice: choose(candidates?[fold] ?? all, cohort.folds.training(without: fold)))
    }
    self.folds = folds
    self.final = choose(final ?? all, cohort.folds.all)
    pooled = SettingTally.pooled(folds.map { tallies[$0.choice.position] }, of: cohort)
  }
}

/// Looks for the best of some settings on some patients.
struct SettingChooser {
  private let cohort: TuningCohort
  private let objective: TuningObjective
  private let mask: TuningMask
  private let bound: SensitivityBound?

  init(
    _ cohort: TuningCohort, _ objective: TuningObjective, among isIn: [Bool], resamples: Int, seed: UInt64
  ) {
    self.cohort = cohort
    self.objective = objective
    mask = TuningMask(cohort, isIn)
    if case .leastBurden = objective {
      bound = SensitivityBound(cohort, among: isIn, resamples: resamples, seed: seed)
    } else {
      bound = nil
    }
  }

  private struct Candidate {
    var position: Int
    var sums: TuningSums
    var value: Double?

    /// The greater value, then less burden, then more events found, then the one that comes first. No value is least.
    static func isBetter(_ a: Candidate, _ b: Candidate) -> Bool {
      let (first, second) = (a.value ?? -.infinity, b.value ?? -.infinity)
      if first != second { return first > second }
      if a.sums.alerts != b.sums.alerts { return a.sums.alerts < b.sums.alerts }
      if a.sums.detected != b.sums.detected { return a.sums.detected > b.sums.detected }
      return a.position < b.position
    }
  }

  private func candidates(_ positions: [Int], _ tallies: [SettingTally]) -> [Candidate] {
    positions.map { position in
      let sums = mask.sums(tallies[position], of: cohort)
      return Candidate(position: position, sums: sums, value: objective.value(sums))
    }
  }

  /// - Precondition: at least one position.
  func choose(_ positions: [Int], _ tallies: [SettingTally]) -> SettingChoice {
    precondition(!positions.isEmpty, "something to choose from")
    let sorted = candidates(positions, tallies).sorted(by: Candidate.isBetter)
    if let best = sorted.first(where: { miss($0, tallies) <= 0 }) {
      return SettingChoice(position: best.position, meetsTarget: true, value: best.value, miss: 0)
    }
    let nearest = sorted.dropFirst().reduce(sorted[0]) { best, other in
      distance(other) < distance(best) ? other : best
    }
    return SettingChoice(
      position: nearest.position, meetsTarget: false, value: nearest.value, miss: miss(nearest, tallies))
  }

  /// The settings that reach the target, of those given.
  func eligible(_ positions: [Int], _ tallies: [SettingTally]) -> [Int] {
    candidates(positions, tallies).filter { miss($0, tallies) <= 0 }.map(\.position)
  }

  /// The best so many, without asking for a bound: few patients would refuse every setting one.
  func best(_ count: Int, of positions: [Int], _ tallies: [SettingTally]) -> [Int] {
    candidates(positions, tallies).sorted { a, b in
      let (first, second) = (max(0, distance(a)), max(0, distance(b)))
      return first != second ? first < second : Candidate.isBetter(a, b)
    }.prefix(count).map(\.position)
  }

  /// How far a setting stays behind the target; at most zero: it reaches it.
  private func miss(_ candidate: Candidate, _ tallies: [SettingTally]) -> Double {
    guard case .leastBurden(let sensitivity) = objective else { return distance(candidate) }
    // The bound is never above the value: most settings need none.
    guard let value = candidate.sums.sensitivity, value >= sensitivity, candidate.value != nil, let bound else {
      return distance(candidate)
    }
    return sensitivity - bound.lower(tallies[candidate.position])
  }

  /// The same by values alone. What has no value reaches nothing.
  private func distance(_ candidate: Candidate) -> Double {
    guard candidate.value != nil else { return .infinity }
    switch objective {
    case .leastBurden(let sensitivity): return sensitivity - (candidate.sums.sensitivity ?? 0)
    case .greatestMargin(let burden): return (candidate.sums.burden ?? .infinity) - burden
    case .fBeta, .cost, .utility, .netBenefit: return 0
    }
  }
}

/// Lower bounds of sensitivity over the same draws of whole patients, for any number of settings.
struct SensitivityBound {
  /// Patients with an event.
  private let patients: [Int]
  private let events: [Int]
  /// How often each was drawn, by draw, then place in ``patients``.
  private let drawn: [UInt8]
  /// Events drawn, by draw.
  private let totals: [Int]

  init(_ cohort: TuningCohort, among isIn: [Bool], resamples: Int, seed: UInt64) {
    let counts = cohort.values(.events)
    let members = isIn.indices.filter { isIn[$0] }
    let patients = members.filter { counts[$0] > 0 }
    let events = patients.map { Int(counts[$0]) }
    var slots = [Int](repeating: -1, count: members.count)
    var next = 0
    for (place, member) in members.enumerated() where counts[member] > 0 {
      slots[place] = next
      next += 1
    }
    var sampler = Resampler(seed: seed)
    var drawn = [UInt8](repeating: 0, count: resamples * patients.count)
    var totals = [Int](repeating: 0, count: resamples)
    for draw in 0..<resamples {
      for _ in members.indices {
        let slot = slots[sampler.index(below: members.count)]
        guard slot >= 0, drawn[draw * patients.count + slot] < .max else { continue }
        drawn[draw * patients.count + slot] += 1
        totals[draw] += events[slot]
      }
    }
    self.patients = patients
    self.events = events
    self.drawn = drawn
    self.totals = totals
  }

  /// The 2.5th percentile of resampled sensitivities, never above the sensitivity; where every event is found, the exact
  /// bound over patients. Zero where one patient or none has events. O(draws × patients with events).
  func lower(_ tally: SettingTally) -> Double {
    guard patients.count > 1 else { return 0 }
    var slots: [Int: Int] = [:]
    for (slot, patient) in patients.enumerated() { slots[patient] = slot }
    var detected = [Int](repeating: 0, count: patients.count)
    for (patient, count) in zip(tally.patients, tally.values(.detected)) {
      if let slot = slots[Int(patient)] { detected[slot] = Int(count) }
    }
    guard detected != events else { return Proportion.clopperPearson(patients.count, of: patients.count).lower }
    var values: [Double] = []
    for draw in totals.indices where totals[draw] > 0 {
      var sum = 0
      for slot in patients.indices { sum += Int(drawn[draw * patients.count + slot]) * detected[slot] }
      values.append(Double(sum) / Double(totals[draw]))
    }
    guard !values.isEmpty else { return 0 }
    values.sort()
    let value = Double(detected.reduce(0, +)) / Double(events.reduce(0, +))
    return min(value, values[min(values.count - 1, Int(Interval.alpha / 2 * Double(values.count)))])
  }
}
