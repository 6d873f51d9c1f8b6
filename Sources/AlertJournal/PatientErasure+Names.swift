import VitalModel

/// The patient's id in texts of others: only where a text says that it is a patient's or a device's, of the same tenant.
extension PatientErasure {
  private static let patientNames: Set = ["patient", "patients", "members"]
  private static let deviceNames: Set = ["device", "source", "sources"]

  /// What stands in the place of the id. No roster, topic or payload can name anybody so: control signs are refused.
  var replacement: String { "\u{7F}erased-\(patient)" }

  /// Whether JSON names the patient.
  ///
  /// - Parameter tenant: whose it is; nil: it says so itself, or names nobody.
  func names(_ bytes: [UInt8], in tenant: String? = nil) -> Bool {
    let members = JSONMembers.texts(in: bytes)
    guard isOwn(tenant, members) else { return false }
    return members.contains { $0.value == traces.id && PatientErasure.patientNames.contains($0.name) }
  }

  /// The same JSON with another name in the place of the patient's; nil when it does not name the patient.
  func cleaned(_ bytes: [UInt8], in tenant: String? = nil) -> [UInt8]? {
    let members = JSONMembers.texts(in: bytes)
    guard isOwn(tenant, members) else { return nil }
    let changes = members.compactMap { member in changed(member).map { (place: member.place, text: $0) } }
    return changes.isEmpty ? nil : JSONMembers.replacing(changes, in: bytes)
  }

  /// The tenant a document says it is of.
  static func tenant(ofDocument bytes: [UInt8]) -> String? {
    JSONMembers.texts(in: bytes).first { $0.name == "tenant" }?.value
  }

  private func isOwn(_ tenant: String?, _ members: [JSONMembers.Member]) -> Bool {
    if let tenant { return tenant == traces.tenant }
    return members.contains { $0.name == "tenant" && $0.value == traces.tenant }
  }

  private func changed(_ member: JSONMembers.Member) -> String? {
    if PatientErasure.patientNames.contains(member.name) { return member.value == traces.id ? replacement : nil }
    // A source is a device and, behind a slash, a name that has no need to be escaped where the first sign differs.
    guard !traces.namesakes.isEmpty, PatientErasure.deviceNames.contains(member.name) else { return nil }
    if member.value == traces.id { return replacement }
    guard member.value.hasPrefix(traces.id + "/") else { return nil }
    let rest = String(member.value.dropFirst(traces.id.count))
    let isPlain = rest.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    return isPlain ? replacement + rest : replacement
  }

  // MARK: Rosters

  /// A roster's text without the patient; nil when the patient is not in it.
  func roster(without text: [UInt8]) -> [UInt8]? {
    guard let roster = try? Roster(canonicalJSON: String(decoding: text, as: UTF8.self)) else {
      return cleanedRoster(text)
    }
    let stays = Set(
      roster.assignments.indices.filter { roster.assignments[$0].patient == traces.id && isForeign($0, in: roster) })
    // Somebody of another tenant has the same id: what is left of it is theirs.
    let hasAny = roster.assignments.contains { $0.patient == traces.id }
    let isKept = !stays.isEmpty || traces.isShared && !hasAny
    let patients = isKept ? roster.patients : roster.patients.filter { $0.id != traces.id }
    let settings = isKept ? roster.settings : roster.settings.filter { $0.patient != traces.id }
    let assignments = roster.assignments.indices.compactMap { index -> RosterAssignment? in
      var assignment = roster.assignments[index]
      guard assignment.patient != traces.id || stays.contains(index) else { return nil }
      if !stays.contains(index), isNamesake(assignment.device, in: roster) { assignment.device = replacement }
      return assignment
    }
    let devices = roster.devices.map { device in
      var device = device
      if isNamesake(device.id, in: roster) { device.id = replacement }
      return device
    }
    let smaller = try? Roster(patients: patients, devices: devices, assignments: assignments, settings: settings)
    guard let smaller else { return cleanedRoster(text) }
    return smaller == roster ? nil : Array(smaller.canonicalJSON.utf8)
  }

  /// Whether an assignment of the id is one of another tenant's patient.
  private func isForeign(_ index: Int, in roster: Roster) -> Bool {
    let device = roster.assignments[index].device
    if let owner = roster.device(device)?.tenant { return owner != traces.tenant }
    return traces.isShared && traces.foreignDevices.contains(device) && !traces.devices.contains(device)
  }

  private func isNamesake(_ device: String, in roster: Roster) -> Bool {
    device == traces.id && !traces.namesakes.isEmpty
      && roster.device(device)?.tenant ?? traces.tenant == traces.tenant
  }

  /// Of what does not read as a roster: its members, by their names.
  private func cleanedRoster(_ text: [UInt8]) -> [UInt8]? {
    let changes = JSONMembers.texts(in: text).filter { member in
      member.value == traces.id && ["id", "patient", "device"].contains(member.name)
    }
    guard !changes.isEmpty else { return nil }
    return JSONMembers.replacing(changes.map { (place: $0.place, text: replacement) }, in: text)
  }
}
