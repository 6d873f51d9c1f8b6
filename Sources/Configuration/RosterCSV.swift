import VitalModel
import YAMLText

extension RosterFile {
  /// Whether a file is a `patients.csv` rather than YAML: by its first line.
  package static func looksLikeCSV(_ text: String) -> Bool {
    guard let header = text.split(whereSeparator: \.isNewline).first else { return false }
    return header.split(separator: ",").first.map { unquoted($0) } == "patient_id"
  }

  /// Reads a data set's `patients.csv`: every record is a patient and, under the same id, the device that watches them
  /// for ever. Of the columns only `patient_id`, `age_years`, `sex`, `unit` and `gateway` are read; the others are facts of the data
  /// set. An age or sex that cannot be read is unknown, which counts as applying (SEMANTICS C3).
  ///
  /// - Throws: every problem of the file at once.
  package static func parseCSV(_ text: String, file: String) throws(TextProblems) -> Roster {
    var problems = Problems(file: file)
    var patients: [RosterPatient] = []
    var devices: [RosterDevice] = []
    var lines: [String: Int] = [:]
    var header: [String: Int]?
    var width = 0
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
    where !line.isEmpty {
      let cells = self.cells(line)
      guard let columns = header else {
        width = cells.count
        header = Dictionary(cells.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        if header?["patient_id"] == nil {
          problems.add(line: index + 1, column: 1, "no column `patient_id`")
          break
        }
        continue
      }
      guard cells.count == width else {
        problems.add(line: index + 1, column: 1, "\(cells.count) fields in a table of \(width) columns")
        continue
      }
      if patients.count == rowsMax {
        problems.add(line: index + 1, column: 1, "more than \(rowsMax) patients")
        break
      }
      func cell(_ name: String) -> String? { columns[name].map { cells[$0] }.flatMap { $0.isEmpty ? nil : $0 } }
      guard let id = cell("patient_id").flatMap(RosterValue.identifier) else {
        problems.add(line: index + 1, column: 1, "`patient_id` must be an id without spaces, `/`, `+` or `#`")
        continue
      }
      if let first = lines.updateValue(index + 1, forKey: id) {
        problems.add(line: index + 1, column: 1, "patient `\(id)` is given twice, first at line \(first)")
        continue
      }
      patients.append(
        RosterPatient(
          id: id, age: cell("age_years").flatMap(RosterValue.age), sex: cell("sex").flatMap(sex), unit: cell("unit")))
      devices.append(RosterDevice(id: id, gateway: cell("gateway").flatMap(RosterValue.identifier)))
    }
    if header == nil { problems.add(line: 1, column: 1, "no column `patient_id`") }
    try problems.check()
    return try roster(
      file, patients, devices,
      patients.map { RosterAssignment(device: $0.id, patient: $0.id) })
  }

  /// Reads either format.
  package static func parseAny(
    _ text: String, file: String, registry: VitalRegistry? = nil, rules: [RuleDefinition]? = nil,
    isOfOneSet: Bool = true
  ) throws(TextProblems) -> Roster {
    looksLikeCSV(text)
      ? try parseCSV(text, file: file)
      : try parse(text, file: file, registry: registry, rules: rules, isOfOneSet: isOfOneSet)
  }

  private static func sex(_ text: String) -> PatientSex? {
    switch text.lowercased() {
    case "f", "female": .female
    case "m", "male": .male
    case "o", "other": .other
    default: nil
    }
  }

  /// The fields of one line; quotes may hold commas, a doubled quote stands for one.
  private static func cells(_ line: Substring) -> [String] {
    var cells: [String] = []
    var cell = ""
    var isQuoted = false
    var last: Character?
    for character in line {
      switch (character, isQuoted) {
      case ("\"", true): isQuoted = false
      case ("\"", false):
        if last == "\"" { cell.append("\"") }
        isQuoted = true
      case (",", false):
        cells.append(cell)
        cell = ""
      default: cell.append(character)
      }
      last = character
    }
    cells.append(cell)
    return cells
  }

  private static func unquoted(_ text: Substring) -> String {
    text.count >= 2 && text.first == "\"" && text.last == "\"" ? String(text.dropFirst().dropLast()) : String(text)
  }
}
