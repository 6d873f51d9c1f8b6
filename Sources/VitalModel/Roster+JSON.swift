import Foundation

extension Roster {
  /// The roster as one JSON object, as the journal holds it: equal rosters are equal bytes.
  package var canonicalJSON: String {
    var out = JSONText()
    out.object { root in
      root.array("patients") { out in for patient in patients { Self.write(patient, to: &out) } }
      root.array("devices") { out in
        for device in devices {
          out.object {
            $0.field("id", device.id)
            $0.field("model", device.model)
            $0.field("tenant", device.tenant)
            // Left out where there is none: rosters journaled before there were gateways stay the same bytes.
            if let gateway = device.gateway { $0.field("gateway", gateway) }
          }
        }
      }
      root.array("assignments") { out in for assignment in assignments { Self.write(assignment, to: &out) } }
      root.array("settings") { out in for setting in settings { Self.write(setting, to: &out) } }
    }
    return out.text
  }

  private static func write(_ patient: RosterPatient, to out: inout JSONText) {
    out.object {
      $0.field("id", patient.id)
      $0.field("birth_day", patient.birthDay)
      // As text: a JSON reader in between must not turn 83.10 into 83.1.
      $0.field("age", patient.age?.description)
      $0.field("sex", patient.sex?.rawValue)
      $0.field("unit", patient.unit)
      $0.field("bed", patient.bed)
      $0.field("flags", patient.flags)
      $0.field("state", patient.state.rawValue)
      $0.field("state_until", patient.stateUntil.map(Timestamp.format))
    }
  }

  private static func write(_ assignment: RosterAssignment, to out: inout JSONText) {
    out.object {
      $0.field("device", assignment.device)
      $0.field("patient", assignment.patient)
      $0.field("from", assignment.from.map(Timestamp.format))
      $0.field("to", assignment.to.map(Timestamp.format))
      $0.object("cadence") { out in
        for (key, every) in assignment.cadence.sorted(by: { $0.key < $1.key }) { out.field(key, Int(every)) }
      }
    }
  }

  private static func write(_ entry: RosterSetting, to out: inout JSONText) {
    out.object {
      $0.field("patient", entry.patient)
      $0.field("rule", entry.setting.rule)
      $0.field("parameter", entry.setting.parameter)
      $0.field("value", entry.setting.value.description)
      $0.field("author", entry.setting.author)
      $0.field("reason", entry.setting.reason)
      $0.field("from", entry.setting.from.map(Timestamp.format))
      $0.field("until", entry.setting.until.map(Timestamp.format))
    }
  }

  /// Reads ``canonicalJSON`` back.
  ///
  /// - Throws: `.malformed` if the text is not one, or what the roster itself refuses.
  package init(canonicalJSON text: String) throws(RosterError) {
    guard let root = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
      throw .malformed("no JSON object")
    }
    var patients: [RosterPatient] = []
    for entry in try Self.entries(root, "patients") { patients.append(try Self.patient(entry)) }
    var devices: [RosterDevice] = []
    for entry in try Self.entries(root, "devices") {
      devices.append(
        RosterDevice(
          id: try Self.text(entry, "id"), model: entry["model"] as? String, tenant: entry["tenant"] as? String,
          gateway: entry["gateway"] as? String))
    }
    var assignments: [RosterAssignment] = []
    for entry in try Self.entries(root, "assignments") {
      var cadence: [String: Int64] = [:]
      for (key, value) in entry["cadence"] as? [String: Any] ?? [:] {
        guard let every = value as? Int64, every > 0 else { throw .malformed("cadence of an assignment") }
        cadence[key] = every
      }
      assignments.append(
        RosterAssignment(
          device: try Self.text(entry, "device"), patient: try Self.text(entry, "patient"),
          from: try Self.time(entry, "from"), to: try Self.time(entry, "to"), cadence: cadence))
    }
    var settings: [RosterSetting] = []
    // Journals written before there were settings have none.
    if root["settings"] != nil {
      for entry in try Self.entries(root, "settings") { settings.append(try Self.setting(entry)) }
    }
    try self.init(patients: patients, devices: devices, assignments: assignments, settings: settings)
  }

  private static func setting(_ entry: [String: Any]) throws(RosterError) -> RosterSetting {
    guard let value = DecimalValue(try text(entry, "value")) else { throw .malformed("value of a setting") }
    return RosterSetting(
      patient: try text(entry, "patient"),
      setting: ParameterSetting(
        rule: try text(entry, "rule"), parameter: try text(entry, "parameter"), value: value,
        author: try text(entry, "author"), reason: try text(entry, "reason"), from: try time(entry, "from"),
        until: try time(entry, "until")))
  }

  private static func patient(_ entry: [String: Any]) throws(RosterError) -> RosterPatient {
    let age = (entry["age"] as? String).flatMap { DecimalValue($0) }
    guard let state = AdmissionState(rawValue: try text(entry, "state")) else { throw .malformed("state of a patient") }
    return RosterPatient(
      id: try text(entry, "id"), birthDay: entry["birth_day"] as? Int, age: age,
      sex: (entry["sex"] as? String).flatMap(PatientSex.init(rawValue:)), unit: entry["unit"] as? String,
      bed: entry["bed"] as? String, flags: entry["flags"] as? [String] ?? [], state: state,
      stateUntil: try time(entry, "state_until"))
  }

  private static func entries(_ root: [String: Any], _ key: String) throws(RosterError) -> [[String: Any]] {
    guard let entries = root[key] as? [[String: Any]] else { throw .malformed("no list `\(key)`") }
    return entries
  }

  private static func text(_ entry: [String: Any], _ key: String) throws(RosterError) -> String {
    guard let text = entry[key] as? String else { throw .malformed("no text `\(key)`") }
    return text
  }

  private static func time(_ entry: [String: Any], _ key: String) throws(RosterError) -> Int64? {
    guard let value = entry[key], !(value is NSNull) else { return nil }
    guard let time = (value as? String).flatMap({ Timestamp.parse($0) }) else { throw .malformed("time `\(key)`") }
    return time
  }
}
