import VitalModel

/// The files of the PhysioNet/CinC 2019 challenge: a header, then one row an hour, `|` between cells, `NaN` for what nobody
/// measured. The file's name is the patient.
///
/// Times count from the first row by `ICULOS`, hours in intensive care. `SepsisLabel` is 1 from six hours before onset
/// (Reyna et al. 2020, Crit Care Med 48:210): its first 1 is the label `sepsis_label_on`; `sepsis_onset` is six hours later,
/// given only where the label switched inside the record, since before the first row nobody knows when.
struct PSVImporter: Importer {
  /// How long before onset the source sets its label, milliseconds.
  static let labelLead: Int64 = 6 * 3_600_000

  static let columns: ColumnMap = {
    var map = ColumnMap()
    for (name, key, unit) in [
      ("hr", "hr", "/min"), ("o2sat", "spo2", "%"), ("temp", "temp", "Cel"), ("sbp", "sbp", "mm[Hg]"),
      ("map", "map", "mm[Hg]"), ("dbp", "dbp", "mm[Hg]"), ("resp", "resp", "/min"), ("etco2", "etco2", "mm[Hg]"),
      ("glucose", "glucose", "mg/dL"), ("lactate", "lactate", "mmol/L"),
    ] {
      map.targets[name] = .init(key: key, unit: unit)
    }
    // Laboratory values and circumstances; some would be taken for vitals in another unit (FiO2 is a share here).
    map.ignored = [
      "baseexcess", "hco3", "fio2", "ph", "paco2", "sao2", "ast", "bun", "alkalinephos", "calcium", "chloride",
      "creatinine", "bilirubin_direct", "magnesium", "phosphate", "potassium", "bilirubin_total", "troponini", "hct",
      "hgb", "ptt", "wbc", "fibrinogen", "platelets", "age", "gender", "unit1", "unit2", "hospadmtime", "iculos",
      "sepsislabel",
    ]
    return map
  }()

  private struct Layout {
    var names: [String]
    var vitals: [ImportedVital?]
    /// Columns nobody knows, by place.
    var strangers: [Int]
    var hour: Int
    var label: Int?
    var age: Int?
    var sex: Int?
  }

  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    let patient = ImportFormat.stem(file.name)
    var lines = try ImportedLines(file, sink: sink)
    guard let header = try lines.next() else { throw PSVImporter.unexpected(file.name) }
    let layout = try layout(header, file.name, sink)
    var firstHour: Int64?
    var onset: Int64?
    var person = ImportedPerson(patient: sink.options.patient ?? patient, ageYears: "", sex: "", rows: 0)
    while let line = try lines.next() {
      sink.countRecord()
      let cells = line.parts(0x7C)
      guard cells.count == layout.names.count else {
        sink.refuse(lines.number, "row", .malformed)
        continue
      }
      guard let hour = DecimalValue(ascii: cells[layout.hour])?.scaled(toExponent: -3),
        let time = time(hour, since: firstHour ?? hour, sink.options.epoch)
      else {
        sink.refuse(lines.number, "ICULOS", .malformed)
        continue
      }
      firstHour = firstHour ?? hour
      if onset == nil, let label = layout.label, isSet(cells[label]) {
        onset = time
        sink.add(label: "sepsis_label_on", patient: patient, onset: time)
        if person.rows > 0 { sink.add(label: "sepsis_onset", patient: patient, onset: time + PSVImporter.labelLead) }
      }
      person.rows += 1
      if let age = layout.age, person.ageYears.isEmpty { person.ageYears = measured(cells[age]) }
      if let sex = layout.sex, person.sex.isEmpty { person.sex = measured(cells[sex]) }
      for place in layout.strangers where !cells[place].isNotMeasured { sink.omit(unknown: layout.names[place]) }
      for (place, vital) in layout.vitals.enumerated() {
        guard let vital, !cells[place].isNotMeasured else { continue }
        guard let value = DecimalValue(ascii: cells[place]) else {
          sink.refuse(lines.number, layout.names[place], .malformed)
          continue
        }
        try sink.add(patient: patient, device: "", time: time, vital, value, line: lines.number)
      }
    }
    sink.add(person)
  }

  private static func unexpected(_ file: String) -> RecordingError {
    .unsupported(file: file, what: "not a file of the 2019 challenge; expected a header such as HR|O2Sat|...|ICULOS")
  }

  private func layout(
    _ header: UnsafeRawBufferPointer, _ file: String, _ sink: ImportSink
  ) throws(RecordingError) -> Layout {
    let names = header.parts(0x7C).map(\.string)
    let lower = names.map { $0.lowercased() }
    guard names.count > 1 else { throw PSVImporter.unexpected(file) }
    guard let hour = lower.firstIndex(of: "iculos") else { throw .missingColumn(file: file, name: "ICULOS") }
    var vitals: [ImportedVital?] = []
    for name in names { vitals.append(try sink.vital(named: name, PSVImporter.columns)) }
    let strangers = lower.indices.filter { place in
      vitals[place] == nil && !PSVImporter.columns.ignored.contains(lower[place])
        && !sink.options.columns.ignored.contains(lower[place])
    }
    return Layout(
      names: names, vitals: vitals, strangers: strangers, hour: hour, label: lower.firstIndex(of: "sepsislabel"),
      age: lower.firstIndex(of: "age"), sex: lower.firstIndex(of: "gender"))
  }

  /// Milliseconds since 1970 of an hour in thousandths.
  private func time(_ hour: Int64, since first: Int64, _ epoch: Int64) -> Int64? {
    // Ten million hours are beyond every accepted time.
    guard abs(hour) < 10_000_000_000, abs(first) < 10_000_000_000 else { return nil }
    return CellText.bounded(epoch + (hour - first) * 3600)
  }

  /// `1` or `1.0`.
  private func isSet(_ cell: UnsafeRawBufferPointer) -> Bool {
    DecimalValue(ascii: cell)?.scaled(toExponent: -3) == 1000
  }

  private func measured(_ cell: UnsafeRawBufferPointer) -> String { cell.isNotMeasured ? "" : cell.string }
}
