/// A ward full of people who do not exist: deterministic vital signs with known truth, for demonstrations, tests and
/// load.
///
/// Room `Simulation`: the same settings give the same bytes on every machine. Nothing here asks what time it is, opens a
/// file or a socket, or uses chance that does not come from the seed.
import VitalModel

/// What a ward is made from.
package struct WardSettings: Sendable {
  package var seed: UInt64
  /// 1...100,000.
  package var patients: Int
  /// First second of the ward, milliseconds since 1970.
  package var start: Int64
  package var tenant = "demo"
  /// Illnesses run this many times faster than in life (1...100,000); sampling rates and sensor noise stay as they
  /// are, and full severity still lasts 40 s at least.
  package var pace = 1.0
  /// Spot measurements (cuff, thermometer, nurse's round, scale) come this many times more often (1...100,000), for
  /// demonstrations too short for a cuff every quarter of an hour.
  package var spotPace = 1.0
  package var plans: [ScenarioPlan]

  package init(seed: UInt64, patients: Int, start: Int64, plans: [ScenarioPlan] = []) {
    precondition((1...100_000).contains(patients))
    self.seed = seed
    self.patients = patients
    self.start = start
    self.plans = plans
  }

  /// Plans for every `every`-th patient, kinds in turn, the first beginning at `first` seconds and each next one
  /// `spacing` seconds later.
  package static func mix(
    _ kinds: [ScenarioKind] = ScenarioKind.allCases, patients: Int, every: Int = 2, first: Int64, spacing: Int64
  ) -> [ScenarioPlan] {
    guard !kinds.isEmpty, every > 0 else { return [] }
    return stride(from: 0, to: patients, by: every).enumerated().map { turn, patient in
      ScenarioPlan(patient: patient, kind: kinds[turn % kinds.count], start: first + Int64(turn) * spacing)
    }
  }
}

/// Who lies in a bed and what is attached: enough to write a roster.
package struct SimulatedBed: Hashable, Sendable {
  package var patient: String
  package var age: Int
  package var bed: String
  package var devices: [String]
}

/// The ward, one second at a time.
package struct Ward: Sendable {
  package let settings: WardSettings
  /// Every scenario's truth, by patient and onset.
  package let labels: [TruthLabel]
  package var beds: [SimulatedBed] { people.map(\.bed) }
  /// Seconds simulated so far.
  package private(set) var elapsed: Int64 = 0
  private var people: [SimulatedPatient]

  package init(_ settings: WardSettings) {
    var bounded = settings
    bounded.pace = min(max(settings.pace, 1), 100_000)
    bounded.spotPace = min(max(settings.spotPace, 1), 100_000)
    self.settings = bounded
    var plans: [[ScenarioPlan]] = Array(repeating: [], count: bounded.patients)
    for plan in bounded.plans where plans.indices.contains(plan.patient) { plans[plan.patient].append(plan) }
    people = (0..<bounded.patients).map { SimulatedPatient(number: $0, settings: bounded, plans: plans[$0]) }
    labels = people.flatMap { person in
      person.plans.map { $0.label(patient: person.bed.patient, pace: bounded.pace) }
        .sorted { ($0.onset, $0.label) < ($1.onset, $1.label) }
    }
  }

  /// Everything the devices send during the next second, in the order it is sent.
  package mutating func next() -> [SimulatedMessage] {
    var messages: [SimulatedMessage] = []
    messages.reserveCapacity(people.count + 8)
    // Each patient has an own instant within the second, rising with the number: the stream is in order as it is made.
    for index in people.indices { people[index].step(second: elapsed, into: &messages) }
    elapsed += 1
    return messages
  }
}
