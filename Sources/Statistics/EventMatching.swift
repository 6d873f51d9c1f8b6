/// What an alert turned out to be worth for one convention.
enum AlertWorth: UInt8, Sendable {
  /// The first that counts for an event.
  case credited
  /// Would count for an event that has its alert.
  case `repeat`
  /// Inside an event, too late to count, under the convention that forgives it.
  case neutral
  /// In a stretch in which nobody can say.
  case censored
  case isFalse
}

/// One patient's alerts and events put together. Times are any line: real time, or watched time of the stay.
struct EventMatching {
  /// An event with the first and last instant at which an alert counts for it, both included.
  struct Target {
    var onset: Int64
    var first: Int64
    var last: Int64
    /// The event's own end; its onset where it is a moment.
    var end: Int64
  }

  /// Per event: the alert credited, by position; −1: missed.
  private(set) var creditedAlert: [Int] = []
  /// Per alert.
  private(set) var worth: [AlertWorth] = []

  /// Each alert, oldest first, goes to the event it counts for that closes first and has none yet: as many events are
  /// detected as can be, each by its earliest alert. O(alerts × events) of one patient.
  ///
  /// - Parameters:
  ///   - times: ascending.
  ///   - targets: in any order.
  init(
    _ times: some Collection<Int64>, _ targets: [Target], isNeutralInside: Bool = false,
    censored: [ClosedRange<Int64>] = []
  ) {
    creditedAlert = [Int](repeating: -1, count: targets.count)
    worth.reserveCapacity(times.count)
    for (position, time) in times.enumerated() {
      var chosen = -1
      var counts = false
      for (index, target) in targets.enumerated() where target.first <= time && time <= target.last {
        counts = true
        if creditedAlert[index] < 0, chosen < 0 || target.last < targets[chosen].last { chosen = index }
      }
      if chosen >= 0 { creditedAlert[chosen] = position }
      worth.append(
        chosen >= 0
          ? .credited
          : counts
            ? .repeat
            : isNeutralInside && targets.contains { $0.onset <= time && time <= $0.end }
              ? .neutral : censored.contains { $0.contains(time) } ? .censored : .isFalse)
    }
  }

  /// Events detected.
  var detected: Int { creditedAlert.count { $0 >= 0 } }
}

extension EvaluationConvention {
  func target(_ event: CohortEvent) -> EventMatching.Target {
    let (first, last) = range(onset: event.onset, end: event.end)
    return EventMatching.Target(onset: event.onset, first: first, last: last, end: event.end ?? event.onset)
  }

  /// The same in watched time of the stay; lead and grace are lengths of it.
  func target(_ event: CohortEvent, in stay: WatchedStay) -> EventMatching.Target {
    let onset = stay.offset(of: event.onset)
    let end = event.end.map { stay.offset(of: $0) }
    let (first, last) = range(onset: onset, end: end)
    return EventMatching.Target(onset: onset, first: first, last: last, end: end ?? onset)
  }
}
