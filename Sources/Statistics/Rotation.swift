/// The same alerts at other hours of the same patients' stays: what sensitivity their number and clustering alone would give
/// (SEMANTICS F2). It keeps every patient's alerts, so the burden stays what it was.
package struct Rotation: Hashable, Sendable {
  /// Fewer say too little.
  package static let countMin = 200

  /// Mean sensitivity.
  package var mean: Double
  /// The middle 95 % of sensitivities.
  package var low: Double
  package var high: Double
  /// How often rotated alerts did at least as well, with one added to both counts (Phipson and Smyth 2010).
  package var asGood: Double
  package var count: Int

  /// Every stay is taken as a ring and turned by a whole number of its sample intervals, each as likely as any other: alerts
  /// come with samples, and so they do after it.
  ///
  /// - Parameter events: positions in ``EvaluationCohort/events``.
  /// - Returns: nil without events.
  init?(
    _ alerts: AlertColumn, _ cohort: EvaluationCohort, events: [Int], _ convention: EvaluationConvention,
    count: Int = Rotation.countMin, seed: UInt64, detected: Int
  ) {
    guard !events.isEmpty else { return nil }
    let byPatient = Rotation.targets(cohort, events, convention).filter { !alerts.times.range(of: $0.patient).isEmpty }
    var sampler = Resampler(seed: seed, purpose: .rotation)
    var shares: [Double] = []
    for _ in 0..<count {
      var hits = 0
      for (patient, targets) in byPatient {
        let stay = cohort.stays[patient]
        let turned = Rotation.turned(
          alerts.offsets[alerts.times.range(of: patient)], by: sampler.index(below: Rotation.steps(stay)), of: stay)
        hits += EventMatching(turned, targets).detected
      }
      shares.append(Double(hits) / Double(events.count))
    }
    let observed = Double(detected) / Double(events.count)
    let better = shares.count { $0 >= observed }
    shares.sort()
    let cut = Int(Interval.alpha / 2 * Double(count))
    mean = shares.reduce(0, +) / Double(count)
    low = shares[cut]
    high = shares[count - 1 - cut]
    asGood = Double(better + 1) / Double(count + 1)
    self.count = count
  }

  /// Turns of a stay by its interval until it is where it was.
  static func steps(_ stay: WatchedStay) -> Int { max(1, Int((stay.length + stay.interval / 2) / stay.interval)) }

  /// Offsets in a stay, all turned by so many intervals, ascending again.
  static func turned(_ offsets: ArraySlice<Int64>, by steps: Int, of stay: WatchedStay) -> [Int64] {
    let length = max(1, stay.length)
    return offsets.map { offset in
      let sum = (offset + Int64(steps) * stay.interval) % length
      return sum < 0 ? sum + length : sum
    }.sorted()
  }

  private static func targets(
    _ cohort: EvaluationCohort, _ events: [Int], _ convention: EvaluationConvention
  ) -> [(patient: Int, targets: [EventMatching.Target])] {
    var result: [(patient: Int, targets: [EventMatching.Target])] = []
    for index in events {
      let event = cohort.events[index]
      let target = convention.target(event, in: cohort.stays[event.patient])
      if result.last?.patient == event.patient {
        result[result.count - 1].targets.append(target)
      } else {
        result.append((event.patient, [target]))
      }
    }
    return result
  }
}
