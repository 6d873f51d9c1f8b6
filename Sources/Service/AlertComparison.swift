import VitalModel

/// One alert of a replay, from its start to its end.
package struct AlertSpan: Hashable, Sendable {
  package var tenant: String
  package var patient: String
  package var rule: String
  package var version: String
  package var device: String?
  package var priority: Priority
  package var message: String
  /// Event times, milliseconds; an alert that was open at the end of the input has no end.
  package var onset: Int64
  package var end: Int64?
  /// When it was told first.
  package var detected: Int64 = 0
  /// Key of the vital it names, and what its first document rests on: device and vital.
  package var code: String?
  package var sources: [String] = []

  func overlaps(_ other: AlertSpan) -> Bool {
    onset <= (other.end ?? .max) && other.onset <= (end ?? .max)
  }
}

/// Makes spans of a replay's transitions.
package struct AlertSpans: Sendable {
  package private(set) var all: [AlertSpan] = []
  private var open: [String: Int] = [:]

  package init() {}

  package mutating func take(_ document: AlertDocument) {
    if let place = open[document.alertID] {
      all[place].priority = max(all[place].priority, document.priority)
      if document.phase == .end {
        all[place].end = document.onsetTime + document.durationSeconds * 1000
        open[document.alertID] = nil
      }
      return
    }
    guard document.phase == .start else { return }
    open[document.alertID] = all.count
    all.append(
      AlertSpan(
        tenant: document.tenant, patient: document.patient, rule: document.ruleID, version: document.ruleVersion,
        device: document.device, priority: document.priority, message: document.message, onset: document.onsetTime,
        detected: document.detectedTime, code: document.code, sources: document.sources))
  }
}

/// What one version of the rules tells and another does not.
package struct AlertComparison: Sendable {
  package struct Count: Hashable, Sendable {
    package var rule: String
    package var before = 0
    package var after = 0
    package var gained = 0
    package var lost = 0
  }

  /// Alerts of the second version that match none of the first, and the other way round; by time.
  package private(set) var gained: [AlertSpan] = []
  package private(set) var lost: [AlertSpan] = []
  /// Alerts both versions tell, at another time or with another priority; by time.
  package private(set) var moved: [(before: AlertSpan, after: AlertSpan)] = []
  /// By rule id.
  package private(set) var counts: [Count] = []

  /// Two alerts are one where patient and rule are the same and they overlap in time, each matched once, in order.
  ///
  /// O(n log n) but for alerts of one patient and rule, which are few.
  package init(before: [AlertSpan], after: [AlertSpan]) {
    struct Key: Hashable {
      var tenant: String
      var patient: String
      var rule: String
    }
    func grouped(_ spans: [AlertSpan]) -> [Key: [AlertSpan]] {
      Dictionary(grouping: spans) { Key(tenant: $0.tenant, patient: $0.patient, rule: $0.rule) }
        .mapValues { $0.sorted { $0.onset < $1.onset } }
    }
    let (old, new) = (grouped(before), grouped(after))
    var byRule: [String: Count] = [:]
    for key in Set(old.keys).union(new.keys) {
      let earlier = old[key] ?? []
      var later = new[key] ?? []
      var count = byRule[key.rule] ?? Count(rule: key.rule)
      count.before += earlier.count
      count.after += later.count
      for span in earlier {
        if let match = later.firstIndex(where: { $0.overlaps(span) }) {
          let other = later.remove(at: match)
          if other.detected != span.detected || other.priority != span.priority { moved.append((span, other)) }
        } else {
          lost.append(span)
          count.lost += 1
        }
      }
      gained += later
      count.gained += later.count
      byRule[key.rule] = count
    }
    func order(_ a: AlertSpan, _ b: AlertSpan) -> Bool {
      (a.onset, a.tenant, a.patient, a.rule) < (b.onset, b.tenant, b.patient, b.rule)
    }
    gained.sort(by: order)
    lost.sort(by: order)
    moved.sort { order($0.before, $1.before) }
    counts = byRule.values.sorted { $0.rule < $1.rule }
  }
}

/// How long patients were observed: from the first to the last sample of each.
package struct ObservedTime: Sendable {
  private var spans: [UInt32: (first: Int64, last: Int64)] = [:]

  package init() {}

  package mutating func note(patient: UInt32, at time: Int64) {
    guard let span = spans[patient] else {
      spans[patient] = (time, time)
      return
    }
    if time > span.last { spans[patient]?.last = time } else if time < span.first { spans[patient]?.first = time }
  }

  package var patientDays: Double {
    Double(spans.values.reduce(0) { $0 + ($1.last - $1.first) }) / 86_400_000
  }
}
