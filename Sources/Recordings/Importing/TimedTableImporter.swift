import VitalModel

/// A CSV table with seconds in its first time column and one vital a column: VitalDB, and WFDB numerics as CSV.
///
/// The file's name is the patient, unless a column `patient_id`, `patient` or `caseid` says who. A cell that is empty or `NaN`
/// was not measured.
struct TimedTableImporter: Importer {
  /// What columns are called.
  struct Names {
    let map: ColumnMap

    init(_ targets: [(column: String, key: String, unit: String, source: String)], ignored: Set<String> = []) {
      var map = ColumnMap()
      for target in targets {
        map.targets[target.column.lowercased()] = .init(
          key: target.key, unit: target.unit, source: target.source.isEmpty ? nil : target.source)
      }
      map.ignored = ignored
      self.map = map
    }
  }

  let names: Names

  private static let timeColumns = ["time", "time [s]", "time_s", "time[s]", "seconds"]
  private static let patientColumns = ["patient_id", "patient", "caseid"]

  private static func unexpected(_ file: String) -> RecordingError {
    .unsupported(
      file: file, what: "not a table of measured values; expected a header with Time and columns between commas")
  }

  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    var lines = try ImportedLines(file, sink: sink)
    let splitter = FieldSplitter()
    guard let header = try lines.next(), splitter.split(header) else {
      throw TimedTableImporter.unexpected(file.name)
    }
    let columns = (0..<splitter.count).map { CellText.trimmed(splitter[$0]).string }
    let lower = columns.map { $0.lowercased() }
    guard columns.count > 1 else { throw TimedTableImporter.unexpected(file.name) }
    guard let timePlace = lower.firstIndex(where: TimedTableImporter.timeColumns.contains) else {
      throw .missingColumn(file: file.name, name: "Time")
    }
    let patientPlace = lower.firstIndex(where: TimedTableImporter.patientColumns.contains)
    var vitals: [ImportedVital?] = []
    for (place, name) in columns.enumerated() {
      vitals.append(place == timePlace || place == patientPlace ? nil : try sink.vital(named: name, names.map))
    }
    let isIgnored = lower.map { names.map.ignored.contains($0) || sink.options.columns.ignored.contains($0) }
    let stem = ImportFormat.stem(file.name)
    while let line = try lines.next() {
      sink.countRecord()
      guard splitter.split(line), splitter.count == columns.count else {
        sink.refuse(lines.number, "row", .malformed)
        continue
      }
      let timeText = CellText.trimmed(splitter[timePlace])
      guard let time = CellText.relativeTime(timeText, epoch: sink.options.epoch) ?? Timestamp.parse(timeText) else {
        sink.refuse(lines.number, columns[timePlace], .malformed)
        continue
      }
      let patient = patientPlace.map { CellText.trimmed(splitter[$0]).string } ?? stem
      for place in columns.indices where place != timePlace && place != patientPlace {
        let text = CellText.trimmed(splitter[place])
        if text.isNotMeasured { continue }
        guard let vital = vitals[place] else {
          if !isIgnored[place] { sink.omit(unknown: columns[place]) }
          continue
        }
        guard let value = DecimalValue(ascii: text) else {
          sink.refuse(lines.number, columns[place], .malformed)
          continue
        }
        try sink.add(patient: patient, device: "", time: time, vital, value, line: lines.number)
      }
    }
  }
}

extension TimedTableImporter.Names {
  /// Tracks of VitalDB that are vital signs (Lee et al. 2022, Sci Data 9:279, table of tracks). Pressures of the arterial line
  /// are not those of the cuff.
  static let vitalDB = TimedTableImporter.Names([
    ("Solar8000/HR", "hr", "/min", "ecg"), ("Solar8000/PLETH_HR", "pr", "/min", "pleth"),
    ("Solar8000/PLETH_SPO2", "spo2", "%", "pleth"), ("Solar8000/RR", "resp", "/min", ""),
    ("Solar8000/RR_CO2", "resp", "/min", "co2"), ("Primus/RR_CO2", "resp", "/min", "ventilator"),
    ("Solar8000/ETCO2", "etco2", "mm[Hg]", ""), ("Primus/ETCO2", "etco2", "mm[Hg]", "ventilator"),
    ("Solar8000/BT", "temp", "Cel", ""), ("Solar8000/FIO2", "fio2", "%", ""),
    ("Primus/FIO2", "fio2", "%", "ventilator"),
    ("Solar8000/NIBP_SBP", "sbp", "mm[Hg]", "cuff"), ("Solar8000/NIBP_DBP", "dbp", "mm[Hg]", "cuff"),
    ("Solar8000/NIBP_MBP", "map", "mm[Hg]", "cuff"), ("Solar8000/ART_SBP", "abp_sys", "mm[Hg]", "art"),
    ("Solar8000/ART_DBP", "abp_dia", "mm[Hg]", "art"), ("Solar8000/ART_MBP", "abp_mean", "mm[Hg]", "art"),
  ])
}
