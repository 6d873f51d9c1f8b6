import VitalModel

/// What became of one alert people were told of: its transitions folded into one record.
package struct AlertOutcome: Hashable, Sendable {
  package var alertID: String
  /// Directory number; figures group by it and never show it.
  package var patient: UInt32
  package var rule: String
  package var ruleVersion: String
  package var ruleTitle: String
  /// Care unit at onset; nil unknown.
  package var unit: String?
  package var kind: AlertKind
  /// The highest it had.
  package var priority: Priority
  /// Engine clock when people were told first, milliseconds since 1970.
  package var start: Int64
  /// Engine clock at its end; nil while it has not ended.
  package var end: Int64?
  /// Why it ended, as documents say it.
  package var endReason: String?
  /// Engine clock when somebody first took it on, and when somebody first acknowledged it.
  package var acceptedAt: Int64?
  package var acknowledgedAt: Int64?
  /// The newest class a person gave it; nil: seen without one, or not seen.
  package var judgement: AcknowledgementClass?
  /// Transitions people were told of, the start among them.
  package var notified: Int
  /// Times it was told again because it was, still or again, true.
  package var realarms: Int
  /// Steps up the ladder: nobody had answered in time, or somebody gave it back.
  package var escalations: Int
  package var isSimulated: Bool

  package init(
    alertID: String, patient: UInt32, rule: String, ruleVersion: String, ruleTitle: String = "", unit: String? = nil,
    kind: AlertKind = .physiological, priority: Priority = .medium, start: Int64, end: Int64? = nil
  ) {
    self.alertID = alertID
    self.patient = patient
    self.rule = rule
    self.ruleVersion = ruleVersion
    self.ruleTitle = ruleTitle
    self.unit = unit
    self.kind = kind
    self.priority = priority
    self.start = start
    self.end = end
    endReason = nil
    notified = 1
    realarms = 0
    escalations = 0
    isSimulated = false
  }

  package var isActionable: Bool { judgement == .actionable }
}

/// When one patient was watched.
package struct PatientWatch: Hashable, Sendable {
  /// Directory number.
  package var patient: UInt32
  /// Care unit in the newest roster, else of the newest alert; nil unknown.
  package var unit: String?
  /// Milliseconds since 1970, ascending, apart from each other.
  package var spans: [Range<Int64>]

  package init(patient: UInt32, unit: String?, spans: [Range<Int64>]) {
    self.patient = patient
    self.unit = unit
    self.spans = PatientWatch.joined(spans)
  }

  /// Days of it inside a range.
  package func days(in range: Range<Int64>) -> Double {
    let total = spans.reduce(Int64(0)) { $0 + Int64($1.clamped(to: range).count) }
    return Double(total) / 86_400_000
  }

  /// A patient is taken to have been away after this long without a sample, milliseconds: longer than the longest interval
  /// between charted observations (NEWS2: 12 hours).
  package static let awayAfter: Int64 = 86_400_000

  /// Sorted, and one where they touch or overlap.
  private static func joined(_ spans: [Range<Int64>]) -> [Range<Int64>] {
    var result: [Range<Int64>] = []
    for span in spans.sorted(by: { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }) {
      if let last = result.last, span.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<max(last.upperBound, span.upperBound)
      } else {
        result.append(span)
      }
    }
    return result
  }

  /// The stays in some stretches of samples: together where less than ``awayAfter`` lies between them, and each longer by
  /// the mean interval of its samples (SEMANTICS F1: last − first sample + one interval).
  package static func stays(_ stretches: [(first: Int64, last: Int64, rows: Int)]) -> [Range<Int64>] {
    var stays: [(first: Int64, last: Int64, rows: Int)] = []
    for stretch in stretches.sorted(by: { ($0.first, $0.last) < ($1.first, $1.last) }) where stretch.rows > 0 {
      if let open = stays.last, stretch.first - open.last < awayAfter {
        stays[stays.count - 1].last = max(open.last, stretch.last)
        stays[stays.count - 1].rows += stretch.rows
      } else {
        stays.append(stretch)
      }
    }
    return stays.map { stay in
      stay.first..<stay.last + (stay.rows > 1 ? (stay.last - stay.first) / Int64(stay.rows - 1) : 0)
    }
  }
}

/// Candidates one stage held of one rule: ledger rows.
package struct HeldCount: Hashable, Sendable {
  package var stage: SuppressionStage
  package var rule: String
  package var count: Int
  package init(stage: SuppressionStage, rule: String, count: Int) {
    self.stage = stage
    self.rule = rule
    self.count = count
  }
}

/// Where patient time comes from.
package enum WatchSource: String, Sendable {
  /// Stored samples: first to last of each stay.
  case samples
  /// No samples are kept that far back: from a patient's first alert to the last one's end.
  case alerts
}

/// Everything figures are made of.
package struct FeedbackInput: Sendable {
  /// Told alerts that started in ``range``.
  package var outcomes: [AlertOutcome]
  package var watches: [PatientWatch]
  package var watchSource: WatchSource
  package var held: [HeldCount]
  /// Milliseconds since 1970.
  package var range: Range<Int64>

  package init(
    outcomes: [AlertOutcome], watches: [PatientWatch], watchSource: WatchSource, held: [HeldCount],
    range: Range<Int64>
  ) {
    self.outcomes = outcomes
    self.watches = watches
    self.watchSource = watchSource
    self.held = held
    self.range = range
  }
}

/// What a reader of the figures may choose.
package struct FeedbackOptions: Hashable, Sendable {
  /// Length of a nurse's shift, milliseconds; shifts are counted from midnight UTC.
  package var shift: Int64 = 43_200_000
  /// Patients one nurse looks after.
  package var patientsPerNurse = 4
  /// Of all resampling.
  package var seed: UInt64 = 1
  package init() {}
}
