/// Where a patient is in their stay (SEMANTICS E9).
package enum AdmissionState: String, Sendable, CaseIterable {
  case admitted
  /// Away for a while (theatre, imaging): samples are not expected.
  case offWard = "off-ward"
  case discharged
}

/// What age limits and scores ask about.
package enum PatientSex: String, Sendable, CaseIterable {
  case female
  case male
  case other
}

/// One person being watched. Holds no name: the id is opaque.
package struct RosterPatient: Hashable, Sendable {
  package var id: String
  /// Days since 1970-01-01; nil if only ``age`` is known.
  package var birthDay: Int?
  /// Years as given, where no birth date is known.
  package var age: DecimalValue?
  package var sex: PatientSex?
  /// Care unit and bed, for alert locations and routes.
  package var unit: String?
  package var bed: String?
  /// Attributes rules ask for (`spo2-scale-2`, `pregnant`), sorted.
  package var flags: [String]
  package var state: AdmissionState
  /// When ``state`` falls back to admitted, milliseconds since 1970; nil: never.
  package var stateUntil: Int64?

  package init(
    id: String, birthDay: Int? = nil, age: DecimalValue? = nil, sex: PatientSex? = nil, unit: String? = nil,
    bed: String? = nil, flags: [String] = [], state: AdmissionState = .admitted, stateUntil: Int64? = nil
  ) {
    self.id = id
    self.birthDay = birthDay
    self.age = age
    self.sex = sex
    self.unit = unit
    self.bed = bed
    self.flags = flags.sorted()
    self.state = state
    self.stateUntil = stateUntil
  }

  /// Completed years at a time in milliseconds since 1970, UTC; nil if unknown or before birth. An ``age`` given instead
  /// of a birth date does not grow.
  package func years(at time: Int64) -> Int? {
    guard let birthDay else {
      guard let tenths = age?.scaled(toExponent: -4), tenths >= 0 else { return nil }
      return Int(tenths / 10_000)
    }
    let day = Int(DecimalFloor.divide(time, 86_400_000))
    guard day >= birthDay else { return nil }
    let birth = Timestamp.civil(days: birthDay)
    let now = Timestamp.civil(days: day)
    return now.year - birth.year - ((now.month, now.day) < (birth.month, birth.day) ? 1 : 0)
  }

  /// The state at a time in milliseconds since 1970.
  package func state(at time: Int64) -> AdmissionState {
    if let stateUntil, time >= stateUntil { return .admitted }
    return state
  }
}

/// One device as the roster names it.
package struct RosterDevice: Hashable, Sendable {
  package var id: String
  package var model: String?
  /// The tenant whose topics it may use; nil: any.
  package var tenant: String?
  /// The gateway it speaks through; nil: unknown or none.
  package var gateway: String?

  package init(id: String, model: String? = nil, tenant: String? = nil, gateway: String? = nil) {
    self.id = id
    self.model = model
    self.tenant = tenant
    self.gateway = gateway
  }
}

/// A device belongs to a patient from `from` up to, not including, `to`.
package struct RosterAssignment: Hashable, Sendable {
  package var device: String
  package var patient: String
  /// Milliseconds since 1970; nil: since ever.
  package var from: Int64?
  /// Milliseconds since 1970; nil: until further notice.
  package var to: Int64?
  /// How often samples of a vital are due, milliseconds, by registry key.
  package var cadence: [String: Int64]

  package init(
    device: String, patient: String, from: Int64? = nil, to: Int64? = nil, cadence: [String: Int64] = [:]
  ) {
    self.device = device
    self.patient = patient
    self.from = from
    self.to = to
    self.cadence = cadence
  }

  package func contains(_ time: Int64) -> Bool { (from ?? .min) <= time && time < (to ?? .max) }

  package func overlaps(_ other: RosterAssignment) -> Bool {
    (from ?? .min) < (other.to ?? .max) && (other.from ?? .min) < (to ?? .max)
  }
}

/// One parameter of one rule set for one patient, by a person, for a time.
package struct RosterSetting: Hashable, Sendable {
  package var patient: String
  package var setting: ParameterSetting

  package init(patient: String, setting: ParameterSetting) {
    self.patient = patient
    self.setting = setting
  }

  package func overlaps(_ other: RosterSetting) -> Bool {
    patient == other.patient && setting.rule == other.setting.rule && setting.parameter == other.setting.parameter
      && (setting.from ?? .min) < (other.setting.until ?? .max)
      && (other.setting.from ?? .min) < (setting.until ?? .max)
  }
}

/// Why a roster cannot be used.
package enum RosterError: Error, Hashable, Sendable, CustomStringConvertible {
  case repeatedPatient(String)
  case repeatedDevice(String)
  case unknownPatient(String, device: String)
  case emptyAssignment(device: String)
  case overlap(device: String)
  case unknownSettingPatient(String)
  case emptySetting(rule: String, parameter: String)
  case overlappingSettings(rule: String, parameter: String)
  /// The journaled text is not a roster.
  case malformed(String)

  package var description: String {
    switch self {
    case .repeatedPatient(let id): "patient `\(id)` is given twice"
    case .repeatedDevice(let id): "device `\(id)` is given twice"
    case .unknownPatient(let id, let device): "device `\(device)` is assigned to unknown patient `\(id)`"
    case .emptyAssignment(let device): "an assignment of device `\(device)` ends before it begins"
    case .overlap(let device): "two assignments of device `\(device)` overlap"
    case .unknownSettingPatient(let id): "a setting is for unknown patient `\(id)`"
    case .emptySetting(let rule, let parameter):
      "a setting of `\(parameter)` of rule `\(rule)` ends before it begins"
    case .overlappingSettings(let rule, let parameter):
      "two settings of `\(parameter)` of rule `\(rule)` for one patient overlap"
    case .malformed(let what): "not a roster: \(what)"
    }
  }
}

/// Who is watched, by which device, when (SEMANTICS E9): the only place a device's samples get their patient from.
///
/// Patients, devices, assignments and settings are sorted, so that equal rosters are equal bytes however they were written.
package struct Roster: Hashable, Sendable {
  /// By id.
  package let patients: [RosterPatient]
  /// By id.
  package let devices: [RosterDevice]
  /// By device, then by begin.
  package let assignments: [RosterAssignment]
  /// By patient, rule, parameter, then by begin.
  package let settings: [RosterSetting]

  private let patientIndexes: [String: Int]
  private let deviceIndexes: [String: Int]
  /// Device id → its assignments as a range of ``assignments``.
  private let assignmentRanges: [String: Range<Int>]
  /// Assignment → patient.
  private let assignedPatients: [Int]
  /// Patient id → its settings as a range of ``settings``.
  private let settingRanges: [String: Range<Int>]
  /// By patient id; only patients with a device that speaks through a gateway.
  private let gateways: [String: [String: String]]

  /// Nobody.
  package init() {
    patients = []
    devices = []
    assignments = []
    settings = []
    settingRanges = [:]
    gateways = [:]
    patientIndexes = [:]
    deviceIndexes = [:]
    assignmentRanges = [:]
    assignedPatients = []
  }

  /// Checks and indexes; O(n log n).
  package init(
    patients: [RosterPatient], devices: [RosterDevice] = [], assignments: [RosterAssignment] = [],
    settings: [RosterSetting] = []
  ) throws(RosterError) {
    self.patients = patients.sorted { $0.id < $1.id }
    self.devices = devices.sorted { $0.id < $1.id }
    self.assignments = assignments.sorted { ($0.device, $0.from ?? .min) < ($1.device, $1.from ?? .min) }
    self.settings = settings.sorted { a, b in
      (a.patient, a.setting.rule, a.setting.parameter, a.setting.from ?? .min)
        < (b.patient, b.setting.rule, b.setting.parameter, b.setting.from ?? .min)
    }

    var patientIndexes: [String: Int] = [:]
    for (index, patient) in self.patients.enumerated()
    where patientIndexes.updateValue(index, forKey: patient.id) != nil {
      throw .repeatedPatient(patient.id)
    }
    var deviceIndexes: [String: Int] = [:]
    for (index, device) in self.devices.enumerated()
    where deviceIndexes.updateValue(index, forKey: device.id) != nil {
      throw .repeatedDevice(device.id)
    }
    var ranges: [String: Range<Int>] = [:]
    var assigned: [Int] = []
    for (index, assignment) in self.assignments.enumerated() {
      let device = assignment.device
      guard let patient = patientIndexes[assignment.patient] else {
        throw .unknownPatient(assignment.patient, device: device)
      }
      guard (assignment.from ?? .min) < (assignment.to ?? .max) else { throw .emptyAssignment(device: device) }
      if let range = ranges[device], self.assignments[range.upperBound - 1].overlaps(assignment) {
        throw .overlap(device: device)
      }
      assigned.append(patient)
      ranges[device] = (ranges[device]?.lowerBound ?? index)..<index + 1
    }
    settingRanges = try Roster.ranges(ofSettings: self.settings, patients: patientIndexes)
    self.patientIndexes = patientIndexes
    self.deviceIndexes = deviceIndexes
    assignmentRanges = ranges
    assignedPatients = assigned
    var gateways: [String: [String: String]] = [:]
    for assignment in self.assignments {
      guard let index = deviceIndexes[assignment.device], let gateway = self.devices[index].gateway else { continue }
      gateways[assignment.patient, default: [:]][assignment.device] = gateway
    }
    self.gateways = gateways
  }

  private static func ranges(
    ofSettings settings: [RosterSetting], patients: [String: Int]
  ) throws(RosterError) -> [String: Range<Int>] {
    var ranges: [String: Range<Int>] = [:]
    for (index, entry) in settings.enumerated() {
      let (rule, parameter) = (entry.setting.rule, entry.setting.parameter)
      guard patients[entry.patient] != nil else { throw .unknownSettingPatient(entry.patient) }
      guard (entry.setting.from ?? .min) < (entry.setting.until ?? .max) else {
        throw .emptySetting(rule: rule, parameter: parameter)
      }
      // Sorted by begin, and none before overlapped: only the one before can.
      if index > 0, settings[index - 1].overlaps(entry) {
        throw .overlappingSettings(rule: rule, parameter: parameter)
      }
      ranges[entry.patient] = (ranges[entry.patient]?.lowerBound ?? index)..<index + 1
    }
    return ranges
  }

  /// What is set for a patient, in the order of ``settings``.
  package func settings(ofPatient id: String) -> [ParameterSetting] {
    settingRanges[id].map { settings[$0].map(\.setting) } ?? []
  }

  /// The gateway each device that ever watches a patient speaks through, by device id.
  package var hasGateways: Bool { !gateways.isEmpty }
  package func gateways(ofPatient id: String) -> [String: String] { gateways[id] ?? [:] }

  /// Position of a patient in ``patients``.
  package func patientIndex(_ id: String) -> Int? { patientIndexes[id] }

  /// The device's entry, nil if the roster does not describe it.
  package func device(_ id: String) -> RosterDevice? { deviceIndexes[id].map { devices[$0] } }

  /// Position in ``assignments`` of the one in force for a device at an event time (milliseconds since 1970); nil if
  /// nobody is assigned or the device belongs to another tenant. O(log of the device's assignments).
  package func assignment(forDevice device: String, tenant: String, at time: Int64) -> Int? {
    guard let range = assignmentRanges[device] else { return nil }
    if let owner = self.device(device)?.tenant, owner != tenant { return nil }
    var low = range.lowerBound
    var high = range.upperBound
    while low < high {
      let middle = (low + high) / 2
      if (assignments[middle].from ?? .min) <= time { low = middle + 1 } else { high = middle }
    }
    guard low > range.lowerBound, assignments[low - 1].contains(time) else { return nil }
    return low - 1
  }

  /// Position in ``patients`` of whom a device watches at an event time (milliseconds since 1970); nil if nobody.
  package func patient(forDevice device: String, tenant: String, at time: Int64) -> Int? {
    assignment(forDevice: device, tenant: tenant, at: time).map { assignedPatients[$0] }
  }

  /// How often samples of a vital are due from a device at a time, milliseconds; nil if not declared.
  package func cadence(forDevice device: String, tenant: String, key: String, at time: Int64) -> Int64? {
    assignment(forDevice: device, tenant: tenant, at: time).flatMap { assignments[$0].cadence[key] }
  }

  package static func == (a: Roster, b: Roster) -> Bool {
    a.patients == b.patients && a.devices == b.devices && a.assignments == b.assignments
      && a.settings == b.settings
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(patients)
    hasher.combine(devices)
    hasher.combine(assignments)
    hasher.combine(settings)
  }
}
