import Pipeline
import Recordings
import Statistics
import VitalModel

/// When each patient of a recording was watched.
package final class StayRecorder {
  /// One stretch of a patient's samples.
  private struct Stretch {
    var first: Int64
    var last: Int64
    var rows: Int
  }

  /// One patient's stretches, with the distance most neighbouring samples have, if most have the same (Boyer and Moore
  /// 1991): it needs no list of distances.
  private struct Watched {
    var stretches: [Stretch] = []
    private var candidate: Int64 = 0
    private var votes = 0

    mutating func add(_ time: Int64) {
      guard let last = stretches.last, time - last.last < PatientWatch.awayAfter else {
        stretches.append(Stretch(first: time, last: time, rows: 1))
        return
      }
      let distance = time - last.last
      // Rows of several devices at one time are one sample of the stay.
      guard distance > 0 else { return }
      if votes == 0 { candidate = distance }
      votes += distance == candidate ? 1 : -1
      stretches[stretches.count - 1].last = time
      stretches[stretches.count - 1].rows += 1
    }

    /// Milliseconds; nil: one sample has none. Where no distance is the usual one, the mean.
    var interval: Int64? {
      let steps = stretches.reduce(0) { $0 + $1.rows - 1 }
      guard steps > 0 else { return nil }
      let mean = stretches.reduce(Int64(0)) { $0 + $1.last - $1.first } / Int64(steps)
      return mean / 2 <= candidate && candidate <= 2 * mean ? candidate : mean
    }
  }

  private let options: ReplaySession.Options
  /// By the recording's own number of the patient.
  private var watched: [Watched] = []
  private var patientNames: [String] = []

  /// - Parameter options: of the session whose rows it is shown.
  package init(options: ReplaySession.Options) { self.options = options }

  /// Takes a row as it is given to the session, with the same bounds.
  ///
  /// - Parameter names: of the recording's patients.
  package func note(_ row: RecordedRow, names: RecordingNames) {
    note(row.time, patient: row.patient) { names.patients[$0] }
  }

  /// Takes the time of a sample. One that comes after a later one of its patient leaves the stay as it is.
  ///
  /// - Parameters:
  ///   - patient: number, from 0 on without large gaps.
  ///   - name: of a patient's number.
  package func note(_ time: Int64, patient: UInt32, name: (UInt32) -> String) {
    if let from = options.from, time < from { return }
    if let to = options.to, time >= to { return }
    guard Timestamp.accepted.contains(time) else { return }
    while watched.count <= Int(patient) {
      watched.append(Watched())
      patientNames.append(name(UInt32(patientNames.count)))
    }
    watched[Int(patient)].add(time)
  }

  /// Everybody watched so far, but for those the options leave out.
  package var cohort: WatchedCohort {
    let order = watched.indices.filter { number in
      !watched[number].stretches.isEmpty
        && (options.patients.isEmpty || options.patients.contains(patientNames[number]))
    }.sorted { patientNames[$0] < patientNames[$1] }
    let stays = StayRecorder.stays(order.map { watched[$0] })
    return WatchedCohort(names: order.map { patientNames[$0] }, stays: stays, roster: options.roster)
  }

  /// Stays as SEMANTICS F1 counts them: last − first sample + one interval, that of the patient, of a single sample that of
  /// the other patients.
  private static func stays(_ watched: [Watched]) -> [WatchedStay] {
    let intervals = watched.map(\.interval)
    let usual = Quantile.nearestRank(0.5, of: intervals.compactMap { $0 }.sorted()) ?? 1000
    return zip(watched, intervals).map { own, interval in
      let step = interval ?? usual
      let spans = own.stretches.map { $0.first..<$0.last + step }
      return WatchedStay(PatientWatch(patient: 0, unit: nil, spans: spans), interval: step)
    }
  }
}

/// Patients as a recording shows them.
package struct WatchedCohort: Sendable {
  /// Ascending; everything else is by position here.
  package let names: [String]
  package let stays: [WatchedStay]
  /// Age band, sex and unit by the roster; none without one.
  package let groups: [SubgroupColumn]
  /// Positions by name.
  package let positions: [String: Int]

  init(names: [String], stays: [WatchedStay], roster: Roster?) {
    self.names = names
    self.stays = stays
    positions = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
    groups = roster.map { WatchedCohort.groups(names, stays, $0) } ?? []
  }

  /// With what happened to them.
  package func cohort(labels: LabelSet) -> EvaluationCohort {
    EvaluationCohort(stays: stays, labels: labels, groups: groups) { positions[$0] }
  }

  /// Watched time of everybody, days.
  package var patientDays: Double { stays.reduce(0) { $0 + $1.days } }

  /// When a patient's record ends, milliseconds since 1970.
  func end(ofPatient position: Int) -> Int64? { stays[position].spans.last?.upperBound }

  private static func groups(_ names: [String], _ stays: [WatchedStay], _ roster: Roster) -> [SubgroupColumn] {
    let patients = names.map { name in roster.patientIndex(name).map { roster.patients[$0] } }
    let ages = zip(patients, stays).map { patient, stay in
      SubgroupColumn.ageBand(years: patient?.years(at: stay.spans.first?.lowerBound ?? 0).map(Double.init))
    }
    let columns = [
      SubgroupColumn(name: "age", values: ages),
      SubgroupColumn(name: "sex", values: patients.map { $0?.sex?.rawValue }),
      SubgroupColumn(name: "unit", values: patients.map { $0?.unit }),
    ]
    return columns.filter { $0.values.contains { $0 != nil } }
  }
}
