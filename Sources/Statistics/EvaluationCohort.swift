import VitalModel

/// One alert people would have been told of, as an evaluation sees it.
package struct EvaluatedAlert: Hashable, Sendable {
  /// Position of the patient in the cohort.
  package var patient: Int
  /// When it was told, milliseconds since 1970.
  package var time: Int64
  /// When it ended, of one still open the end of the record; nil: not known.
  package var end: Int64?
  /// Its rule's position in the input's list.
  package var rule: Int
  package var priority: Priority

  package init(patient: Int, time: Int64, end: Int64? = nil, rule: Int = 0, priority: Priority = .medium) {
    self.patient = patient
    self.time = time
    self.end = end
    self.rule = rule
    self.priority = priority
  }
}

/// One event of a cohort.
package struct CohortEvent: Hashable, Sendable {
  /// Position of the patient.
  package var patient: Int
  /// Milliseconds since 1970.
  package var onset: Int64
  package var end: Int64?

  package init(patient: Int, onset: Int64, end: Int64? = nil) {
    self.patient = patient
    self.onset = onset
    self.end = end
  }
}

/// Labels that could not be judged, by reason (SEMANTICS F1).
package struct LabelExclusions: Hashable, Sendable {
  /// The recording has no such patient.
  package var unknownPatient = 0
  package var beforeFirstSample = 0
  package var afterRecord = 0
  package var inCensored = 0
  package var tooShort = 0
  /// Not left out: part of another event.
  package var merged = 0
  package init() {}

  package var total: Int { unknownPatient + beforeFirstSample + afterRecord + inCensored + tooShort }

  /// Counts with their reasons; empty: none was left out.
  package var words: String {
    [
      (unknownPatient, "of nobody in the recording"), (beforeFirstSample, "before the first sample"),
      (afterRecord, "after the record"), (inCensored, "in a censored stretch"), (tooShort, "too short"),
    ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }
}

/// Patients with what happened to them: everything an evaluation knows besides the alerts.
package struct EvaluationCohort: Sendable {
  package let stays: [WatchedStay]
  /// By patient, then onset.
  package let events: [CohortEvent]
  /// Moments at which an alert would be wrong, by patient, then onset.
  package let negatives: [CohortEvent]
  /// By patient: stretches in which nobody can say what an alert was worth, both ends included.
  package let censored: [Int: [ClosedRange<Int64>]]
  package let exclusions: LabelExclusions
  /// Events that could be judged and those that could not: no such patient is a control.
  package let hasEvent: [Bool]
  /// Kinds of label that are events.
  package let kinds: [String]
  package let groups: [SubgroupColumn]

  package var count: Int { stays.count }
  package var patientDays: Double { patientDays(of: Array(stays.indices)) }

  /// Σ of some patients' records; summed as whole milliseconds.
  func patientDays(of patients: [Int]) -> Double {
    Double(patients.reduce(Int64(0)) { $0 + stays[$1].length }) / 86_400_000
  }

  /// - Parameters:
  ///   - stays: of every patient of the recording, with and without events.
  ///   - position: of a patient by name; nil: not in the recording.
  package init(
    stays: [WatchedStay], labels: LabelSet, groups: [SubgroupColumn] = [], position: (String) -> Int?
  ) {
    precondition(groups.allSatisfy { $0.values.count == stays.count }, "a value per patient")
    var exclusions = LabelExclusions()
    exclusions.tooShort = labels.tooShort
    exclusions.merged = labels.merged
    var hasEvent = [Bool](repeating: false, count: stays.count)
    var censored: [Int: [ClosedRange<Int64>]] = [:]
    for span in labels.censored {
      guard let patient = position(span.patient) else { continue }
      let last = max(span.onset, span.end ?? stays[patient].end)
      censored[patient, default: []].append(span.onset...last)
    }
    var events: [CohortEvent] = []
    for span in labels.events {
      guard let patient = position(span.patient) else {
        exclusions.unknownPatient += 1
        continue
      }
      hasEvent[patient] = true
      let stay = stays[patient]
      if span.onset < stay.first {
        exclusions.beforeFirstSample += 1
      } else if span.onset >= stay.end {
        exclusions.afterRecord += 1
      } else if (censored[patient] ?? []).contains(where: { $0.contains(span.onset) }) {
        exclusions.inCensored += 1
      } else {
        events.append(CohortEvent(patient: patient, onset: span.onset, end: span.end))
      }
    }
    let negatives = labels.negatives.compactMap { span -> CohortEvent? in
      guard let patient = position(span.patient), stays[patient].first <= span.onset, span.onset < stays[patient].end
      else { return nil }
      return CohortEvent(patient: patient, onset: span.onset, end: span.end)
    }
    self.stays = stays
    self.events = events.sorted { ($0.patient, $0.onset) < ($1.patient, $1.onset) }
    self.negatives = negatives.sorted { ($0.patient, $0.onset) < ($1.patient, $1.onset) }
    self.censored = censored
    self.exclusions = exclusions
    self.hasEvent = hasEvent
    self.kinds = labels.kinds
    self.groups = groups
  }
}

/// Items of all patients in one array, those of a patient together.
struct ByPatient<Item: Sendable>: Sendable {
  let items: [Item]
  /// Where each patient's begin; one more than patients.
  private let starts: [Int]

  /// - Parameter sorted: by patient.
  init(_ sorted: [Item], patients: Int, patient: (Item) -> Int) {
    var starts = [Int](repeating: 0, count: patients + 1)
    for item in sorted { starts[patient(item) + 1] += 1 }
    for index in starts.indices.dropFirst() { starts[index] += starts[index - 1] }
    items = sorted
    self.starts = starts
  }

  func range(of patient: Int) -> Range<Int> { starts[patient]..<starts[patient + 1] }
  subscript(patient: Int) -> ArraySlice<Item> { items[range(of: patient)] }
}

/// The alerts of one row of figures by patient and time, with their place in the patient's stay.
struct AlertColumn: Sendable {
  let times: ByPatient<EvaluatedAlert>
  /// Watched time since the patient's first sample of each item, ascending within a patient.
  let offsets: [Int64]

  /// - Parameter alerts: by patient, then time.
  init(_ alerts: [EvaluatedAlert], _ cohort: EvaluationCohort) {
    times = ByPatient(alerts, patients: cohort.count) { $0.patient }
    offsets = alerts.map { cohort.stays[$0.patient].offset(of: $0.time) }
  }

  var count: Int { offsets.count }

  /// Whether a patient has an alert between two instants of the stay, both included. O(log alerts of the patient).
  func hasAlert(_ patient: Int, from first: Int64, through last: Int64) -> Bool {
    let range = times.range(of: patient)
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if offsets[middle] < first { low = middle + 1 } else { high = middle }
    }
    return low < range.upperBound && offsets[low] <= last
  }
}
