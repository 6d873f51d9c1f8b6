import Foundation
import Statistics
import Testing
import VitalModel

@testable import Recordings

/// Recordings made by other people, read to the end and counted against their own description. The folder is named by
/// `VIGIL_DATA`, else `../shared/data` beside the package.
@Suite struct DataSetTests {
  struct DataSet: Sendable, CustomTestStringConvertible {
    var name: String
    var rows: Int
    var patients: Int
    /// Non-empty cells of the columns that the registry or ``columns`` know, counted with another program.
    var samples: Int
    var skipped = 0
    var columns: [String: ColumnMap.Target] = [:]
    var testDescription: String { name }
  }

  static let directory: String = {
    if let named = ProcessInfo.processInfo.environment["VIGIL_DATA"] { return named }
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return package.deletingLastPathComponent().appendingPathComponent("shared/data").path
  }()

  static let isThere = FileManager.default.fileExists(atPath: directory + "/README.md")

  static let sets = [
    DataSet(name: "bidmc_numerics", rows: 16_354, patients: 34, samples: 16_354 + 16_238 + 16_347 + 16_238),
    DataSet(name: "big_ideas_cgm", rows: 22_172, patients: 9, samples: 22_172),
    DataSet(
      name: "cinc2015_alarms", rows: 117_540, patients: 373,
      samples: 113_619 + 111_489 + 95_735 + 46_564 + 46_666 + 46_665 + 46_671,
      skipped: 115_872 + 114_260 + 98_011 + 47_339 + 117_167,
      columns: ["hr2": .init(key: "hr", source: "ecg2"), "pr_abp": .init(key: "pr", source: "art")]),
    DataSet(
      name: "cinc2019_sepsis", rows: 777_161, patients: 20_241,
      samples: 701_026 + 676_438 + 264_703 + 663_916 + 681_314 + 534_356 + 659_428 + 28_158 + 133_856 + 20_886),
    DataSet(
      name: "eicu_demo_nibp", rows: 132_112, patients: 1156, samples: 121_565 + 121_572 + 122_162 + 14_619 + 1480),
    DataSet(name: "exam_stress", rows: 140_482, patients: 9, samples: 140_401 + 140_476),
    DataSet(
      name: "mimic3_demo", rows: 10_028, patients: 77,
      samples: 8148 + 8068 + 8239 + 7920 + 7916 + 7904 + 2433 + 2050, skipped: 8075),
    DataSet(
      name: "stress_predict", rows: 63_117, patients: 19, samples: 63_091 + 63_117 + 63_087,
      columns: ["resp_est": .init(key: "resp")]),
  ]

  @Test(.enabled(if: isThere, "no recorded data: set VIGIL_DATA to its folder"), arguments: sets)
  func isReadableToTheEnd(_ set: DataSet) throws {
    var options = RecordingOptions()
    options.columns.targets = set.columns
    var refusals = 0
    let reader = RecordingReader(
      [RecordingFile(path: "\(DataSetTests.directory)/\(set.name)/vitals.csv.zst")], registry: registry,
      options: options
    ) { _ in refusals += 1 }
    try reader.forEach { _ in true }
    #expect(reader.counts.lines == set.rows)
    #expect(reader.names.patients.count == set.patients)
    #expect(reader.counts.samples == set.samples)
    #expect(reader.counts.cells == set.samples)
    #expect(reader.counts.skippedCells == set.skipped)
    #expect(reader.counts.outOfOrder == 0)
    #expect(refusals == 0)
  }

  @Test(.enabled(if: isThere, "no recorded data: set VIGIL_DATA to its folder"), arguments: sets)
  func labelsAreReadable(_ set: DataSet) throws {
    let path = "\(DataSetTests.directory)/\(set.name)/labels.csv"
    let labels = try LabelTable(try String(contentsOfFile: path, encoding: .utf8), file: path, epoch: 0)
    let isLabelled = !["bidmc_numerics", "exam_stress"].contains(set.name)
    #expect(labels.rows.isEmpty != isLabelled)
  }

  @Test(.enabled(if: isThere, "no recorded data: set VIGIL_DATA to its folder"))
  func alarmsAreReadableAsEvents() throws {
    let events = try RecordingTables.events(
      RecordingFile(path: "\(DataSetTests.directory)/cinc2015_alarms/alarms.csv"), epoch: 0)
    #expect(events.count == 373)
  }

  @Test(.enabled(if: isThere, "no recorded data: set VIGIL_DATA to its folder"))
  func aTruncatedPackedFileSaysSo() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(DataSetTests.directory)/exam_stress/vitals.csv.zst"))
    let file = TemporaryFile("vitals.csv.zst", Array(whole.prefix(whole.count / 2)))
    let reader = RecordingReader([RecordingFile(path: file.path)], registry: registry)
    var rows = 0
    #expect {
      try reader.forEach { _ in
        rows += 1
        return true
      }
    } throws: { error in
      guard case .truncated(_, let line)? = error as? RecordingError else { return false }
      return line == rows + 1
    }
    #expect(rows > 1000)
  }
}
