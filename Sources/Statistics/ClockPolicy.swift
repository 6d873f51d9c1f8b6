/// The best that can be done with no measurement at all: alerts at fixed hours of the stay, for everybody still there. What
/// it detects at the same burden is what a rule must beat (SEMANTICS F2).
///
/// It is the best of all such policies and of their mixtures (some patients under one, the others under another), chosen on
/// the very events it is judged by, which flatters it.
package struct ClockPolicy: Hashable, Sendable {
  /// Share of events detected at the burden given.
  package var sensitivity: Double
  /// Hours of the stay of the nearest policy that is not a mixture and costs no more, milliseconds since the first sample.
  package var times: [Int64]
  /// Between two hours that were tried, milliseconds.
  package var step: Int64

  /// Hours tried, at most.
  static let hoursMax = 2000

  /// - Parameters:
  ///   - events: positions in ``EvaluationCohort/events``.
  ///   - members: patients who get its alerts, by position.
  ///   - alerts: how many alerts it may give to all of them together.
  /// - Returns: nil without events.
  init?(
    _ cohort: EvaluationCohort, events: [Int], members: [Int], alerts: Int, _ convention: EvaluationConvention
  ) {
    guard !events.isEmpty else { return nil }
    let grid = Grid(cohort, events: events, members: members, convention)
    let (covered, points) = grid.best(budget: Double(alerts))
    sensitivity = covered / Double(events.count)
    step = grid.step
    times = points.map { Int64($0) * grid.step }
  }

  /// Hours of the stay with what an alert at each costs and which events it would detect.
  struct Grid {
    let step: Int64
    /// Patients still there, by hour.
    private(set) var cost: [Double]
    /// Widest event, in hours.
    private(set) var width = 1
    /// By hour j and by how many hours before j (1...width) the alert before was: events that j detects and that one does not.
    private(set) var gained: [Double]

    init(_ cohort: EvaluationCohort, events: [Int], members: [Int], _ convention: EvaluationConvention) {
      let stays = members.map { cohort.stays[$0] }
      let longest = stays.map(\.length).max() ?? 0
      let intervals = stays.map(\.interval).sorted()
      let interval = Quantile.nearestRank(0.5, of: intervals) ?? 1
      // As fine as samples come, but no finer than a quarter of what an event allows nor than the bound on hours needs.
      let allowed = max(1, (convention.lead + convention.grace) / 4)
      step = max(interval, min(longest / 500, allowed), longest / Int64(ClockPolicy.hoursMax - 1), 1)
      let hours = Int(longest / step) + 1
      cost = [Double](repeating: 0, count: hours)
      // A patient is there at offsets below the stay's length.
      for stay in stays where stay.length > 0 { cost[Int((stay.length - 1) / step)] += 1 }
      for hour in cost.indices.dropLast().reversed() { cost[hour] += cost[hour + 1] }
      var ranges: [Range<Int>] = []
      for index in events {
        let stay = cohort.stays[cohort.events[index].patient]
        let target = convention.target(cohort.events[index], in: stay)
        let first = Int((max(0, target.first) + step - 1) / step)
        let last = Int(max(-1, min(target.last, stay.length - 1)) / step)
        if target.last >= 0, first <= last { ranges.append(first..<last + 1) }
      }
      width = min(hours, max(1, ranges.map(\.count).max() ?? 1))
      gained = [Double](repeating: 0, count: hours * width)
      for range in ranges {
        // An alert at j detects it unless the one before, d hours earlier, lies in it too: d must exceed j − first.
        for hour in range { gained[hour * width + (hour - range.lowerBound)] += 1 }
      }
      for hour in 0..<hours {
        // Now at place d − 1: events whose first hour is less than d hours before j.
        for place in 1..<max(1, width) { gained[hour * width + place] += gained[hour * width + place - 1] }
      }
    }

    /// Most events for a budget: between two policies on the upper hull of (cost, events), found by pricing alerts until two
    /// neighbours enclose the budget.
    func best(budget: Double) -> (covered: Double, hours: [Int]) {
      var below = (covered: 0.0, cost: 0.0, hours: [Int]())
      var above = policy(price: 0)
      if above.cost <= budget { return (above.covered, above.hours) }
      // Each turn finds a hull point strictly between; there are no more of them than events.
      while above.cost > below.cost {
        let price = (above.covered - below.covered) / (above.cost - below.cost)
        let found = policy(price: price)
        let gain = found.covered - price * found.cost - (below.covered - price * below.cost)
        guard gain > 1e-9 * max(1, above.covered), found.cost > below.cost, found.cost < above.cost else { break }
        if found.cost <= budget { below = found } else { above = found }
      }
      let share = above.cost > below.cost ? (budget - below.cost) / (above.cost - below.cost) : 0
      return (below.covered + share * (above.covered - below.covered), below.hours)
    }

    /// The policy with most events less price × alerts, the cheaper of equal ones. O(hours × width).
    private func policy(price: Double) -> (covered: Double, cost: Double, hours: [Int]) {
      var value = [Double](repeating: 0, count: cost.count)
      var previous = [Int](repeating: -1, count: cost.count)
      /// The best last hour so far back that it detects nothing of the present one's events.
      var (far, farValue) = (-1, 0.0)
      for hour in cost.indices {
        if hour - width - 1 >= 0, value[hour - width - 1] > farValue {
          far = hour - width - 1
          farValue = value[far]
        }
        // At distance `width` every event of this hour is new; farther back likewise.
        var (from, best) = (far, farValue + gained[hour * width + width - 1])
        for distance in 1...width where distance <= hour {
          let candidate = value[hour - distance] + gained[hour * width + distance - 1]
          if candidate > best { (from, best) = (hour - distance, candidate) }
        }
        value[hour] = best - price * cost[hour]
        previous[hour] = from
      }
      var last = -1
      var best = 0.0
      for hour in value.indices where value[hour] > best { (last, best) = (hour, value[hour]) }
      var hours: [Int] = []
      while last >= 0 {
        hours.append(last)
        last = previous[last]
      }
      hours.reverse()
      let spent = hours.reduce(0) { $0 + cost[$1] }
      return (best + price * spent, spent, hours)
    }
  }
}
