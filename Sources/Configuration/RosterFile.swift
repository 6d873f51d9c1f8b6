import VitalModel
import YAMLText

/// Reads `roster.yaml`, or a data set's `patients.csv`, into a roster; every mistake is reported with its place.
package enum RosterFile {
  /// Attributes the shipped rules ask for; a near miss of one would silently change nothing.
  package static let knownFlags = ["pregnant", "spo2-scale-2"]
  /// Rows of one table of patients; the nodes of YAML are bounded by their own reader.
  package static let rowsMax = 100_000

  /// - Parameters:
  ///   - registry: refuses cadences of vitals it does not know; nil: not checked.
  ///   - isOfOneSet: whether a setting of a rule that is not among `rules` is a mistake; a replay may run another set.
  ///   - rules: the rules in force: settings of others, of parameters they do not have, and outside a parameter's bounds
  ///     are refused; nil: not checked.
  /// - Throws: every problem of the file at once.
  package static func parse(
    _ text: String, file: String, registry: VitalRegistry? = nil, rules: [RuleDefinition]? = nil,
    isOfOneSet: Bool = true
  ) throws(TextProblems) -> Roster {
    let root = try YAMLDocument.root(text, file: file)
    var problems = Problems(file: file)
    var reader = RosterReader(registry: registry)
    var settings: [RosterSetting] = []
    if let top = YAMLMapping(root, of: "roster", keys: ["patients", "devices", "assignments", "settings"], &problems) {
      reader.read(top, &problems)
      let patients = reader.patients.map(\.id)
      settings = RosterSettingReader(patients: patients, rules: rules, isOfOneSet: isOfOneSet).read(top, &problems)
    }
    try problems.check()
    return try roster(file, reader.patients, reader.devices, reader.assignments, settings)
  }

  static func roster(
    _ file: String, _ patients: [RosterPatient], _ devices: [RosterDevice], _ assignments: [RosterAssignment],
    _ settings: [RosterSetting] = []
  ) throws(TextProblems) -> Roster {
    do throws(RosterError) {
      return try Roster(patients: patients, devices: devices, assignments: assignments, settings: settings)
    } catch {
      throw TextProblems([TextProblem(file: file, line: 0, column: 0, message: error.description)])
    }
  }
}

private struct RosterReader {
  let registry: VitalRegistry?
  var patients: [RosterPatient] = []
  var devices: [RosterDevice] = []
  var assignments: [RosterAssignment] = []
  private var patientLines: [String: Int] = [:]
  private var deviceLines: [String: Int] = [:]
  /// Device → its assignments so far, with the place of each.
  private var placed: [String: [(RosterAssignment, YAMLNode)]] = [:]

  init(registry: VitalRegistry?) { self.registry = registry }

  mutating func read(_ top: YAMLMapping, _ problems: inout Problems) {
    for node in top.list("patients", &problems) ?? [] { patient(node, &problems) }
    for node in top.list("devices", &problems) ?? [] { device(node, &problems) }
    for node in top.list("assignments", &problems) ?? [] {
      assignment(node, devicesListed: top.has("devices"), &problems)
    }
    refuseOverlaps(&problems)
  }

  private mutating func patient(_ node: YAMLNode, _ problems: inout Problems) {
    let keys = ["id", "birth_date", "age", "sex", "unit", "bed", "flags", "state", "state_until"]
    guard let entry = YAMLMapping(node, of: "patient", keys: keys, &problems),
      let id = identifier("id", entry, &problems)
    else { return }
    if let first = patientLines.updateValue(node.line, forKey: id) {
      problems.add(entry.place(of: "id"), "patient `\(id)` is given twice, first at line \(first)")
      return
    }
    let birthDay = entry.read("birth_date", as: "a date such as 1950-12-31", &problems) { Self.day($0) }
    let age = entry.read("age", as: "a number of years from 0 to 130", &problems) { RosterValue.age($0) }
    if entry.has("birth_date"), entry.has("age") {
      problems.add(entry.place(of: "age"), "give either `birth_date` or `age`")
    }
    patients.append(
      RosterPatient(
        id: id, birthDay: birthDay, age: age, sex: entry.word("sex", PatientSex.self, &problems),
        unit: entry.string("unit", &problems), bed: entry.string("bed", &problems), flags: flags(entry, &problems),
        state: entry.word("state", AdmissionState.self, &problems) ?? .admitted,
        stateUntil: entry.time("state_until", &problems)))
    if entry.has("state_until"), !entry.has("state") {
      problems.add(entry.place(of: "state_until"), "`state_until` needs `state`")
    }
  }

  private mutating func device(_ node: YAMLNode, _ problems: inout Problems) {
    guard let entry = YAMLMapping(node, of: "device", keys: ["id", "model", "tenant", "gateway"], &problems),
      let id = identifier("id", entry, &problems)
    else { return }
    if let first = deviceLines.updateValue(node.line, forKey: id) {
      problems.add(entry.place(of: "id"), "device `\(id)` is given twice, first at line \(first)")
      return
    }
    devices.append(
      RosterDevice(
        id: id, model: entry.string("model", &problems), tenant: entry.string("tenant", &problems),
        gateway: entry.has("gateway") ? identifier("gateway", entry, &problems) : nil))
  }

  private mutating func assignment(_ node: YAMLNode, devicesListed: Bool, _ problems: inout Problems) {
    let keys = ["device", "patient", "from", "to", "cadence"]
    guard let entry = YAMLMapping(node, of: "assignment", keys: keys, &problems) else { return }
    let from = entry.time("from", &problems)
    let to = entry.time("to", &problems)
    let cadence = cadence(entry, &problems)
    let device = identifier("device", entry, &problems)
    let patient = identifier("patient", entry, &problems)
    guard let device, let patient else { return }
    if devicesListed, deviceLines[device] == nil {
      problems.add(
        entry.value("device", &problems) ?? node, "no device `\(device)` in the list of devices",
        suggestion: Suggestion.nearest(device, among: deviceLines.keys))
    }
    if patientLines[patient] == nil {
      problems.add(
        entry.value("patient", &problems) ?? node, "no patient `\(patient)` in the list of patients",
        suggestion: Suggestion.nearest(patient, among: patientLines.keys))
    }
    if let from, let to, from >= to {
      problems.add(entry.place(of: "to"), "the assignment ends before it begins")
      return
    }
    let assignment = RosterAssignment(device: device, patient: patient, from: from, to: to, cadence: cadence)
    placed[device, default: []].append((assignment, node))
    assignments.append(assignment)
  }

  private func refuseOverlaps(_ problems: inout Problems) {
    for (device, list) in placed.sorted(by: { $0.key < $1.key }) {
      // After sorting by begin, an overlap with any earlier one is one with the furthest-reaching so far.
      let sorted = list.sorted { ($0.0.from ?? .min, $0.1.line) < ($1.0.from ?? .min, $1.1.line) }
      guard var furthest = sorted.first else { continue }
      for next in sorted.dropFirst() {
        if next.0.overlaps(furthest.0) {
          let (first, second) = next.1.line < furthest.1.line ? (next.1, furthest.1) : (furthest.1, next.1)
          problems.add(
            second,
            "this assignment of device `\(device)` overlaps the one at line \(first.line), column \(first.column)")
        }
        if (next.0.to ?? .max) > (furthest.0.to ?? .max) { furthest = next }
      }
    }
  }

  private func identifier(_ key: String, _ entry: YAMLMapping, _ problems: inout Problems) -> String? {
    entry.requiredRead(key, as: "an id of 1 to 128 characters without spaces, `/`, `+` or `#`", &problems) {
      RosterValue.identifier($0)
    }
  }

  private func flags(_ entry: YAMLMapping, _ problems: inout Problems) -> [String] {
    var flags: [String] = []
    for node in entry.list("flags", &problems) ?? [] {
      let flag = YAMLMapping.parsed(node, of: "flags", as: "lower-case words joined by `-`", &problems) { text in
        text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 } && !text.isEmpty
          ? text : nil
      }
      guard let flag else { continue }
      if !RosterFile.knownFlags.contains(flag), let near = Suggestion.nearest(flag, among: RosterFile.knownFlags) {
        problems.add(node, "flag `\(flag)` is not known, but nearly", suggestion: near)
      }
      if !flags.contains(flag) { flags.append(flag) }
    }
    return flags
  }

  private func cadence(_ entry: YAMLMapping, _ problems: inout Problems) -> [String: Int64] {
    var cadence: [String: Int64] = [:]
    for pair in entry.mapping("cadence", &problems)?.entries ?? [] {
      let key = pair.key.scalar ?? ""
      let every = YAMLMapping.duration(pair.value, of: key, in: 1...604_800_000, &problems)
      guard let registry else {
        cadence[key] = every
        continue
      }
      guard let code = registry.code(key) else {
        problems.add(
          pair.key, "no vital sign is called `\(key)`",
          suggestion: Suggestion.nearest(key, among: registry.vitals.map(\.key)))
        continue
      }
      cadence[registry[code].key] = every
    }
    return cadence
  }

  /// Days since 1970 of a calendar date that exists.
  private static func day(_ text: String) -> Int? {
    guard text.utf8.count == 10, let start = Timestamp.parse(text + "T00:00:00Z") else { return nil }
    return Int(start / 86_400_000) - (start % 86_400_000 < 0 ? 1 : 0)
  }
}

/// Readers the two roster formats share.
enum RosterValue {
  static func identifier(_ text: String) -> String? {
    let isValid =
      (1...128).contains(text.utf8.count)
      && text.unicodeScalars.allSatisfy { $0.value > 32 && $0.value != 127 && !"/+#".unicodeScalars.contains($0) }
    return isValid ? text : nil
  }

  static func age(_ text: String) -> DecimalValue? {
    guard let age = DecimalValue(text), age.mantissa >= 0, age.double <= 130 else { return nil }
    return age
  }
}
