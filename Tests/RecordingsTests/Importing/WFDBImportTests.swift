import Foundation
import Testing
import VitalModel

@testable import Recordings

@Suite struct WFDBImportTests {
  /// A record in a folder of its own, gone with the object.
  final class Record {
    let folder: TemporaryFile
    var path: String { folder.path }

    init(_ header: String, _ files: [String: [UInt8]]) {
      folder = TemporaryFile("r1.hea", Array(header.utf8))
      let directory = (folder.path as NSString).deletingLastPathComponent
      for (name, bytes) in files {
        _ = FileManager.default.createFile(atPath: directory + "/" + name, contents: Data(bytes))
      }
    }

    func imported(_ options: ImportOptions = ImportOptions()) -> Imported {
      Imported([RecordingFile(path: path)], .wfdb, options: options)
    }
  }

  static func encode(_ samples: [Int64], _ format: WFDBFormat) -> [UInt8] {
    func low(_ value: Int64, _ place: Int) -> UInt8 { UInt8(truncatingIfNeeded: value >> Int64(place * 8)) }
    switch format {
    case .bits16: return samples.flatMap { [low($0, 0), low($0, 1)] }
    case .bits16Swapped: return samples.flatMap { [low($0, 1), low($0, 0)] }
    case .bits24: return samples.flatMap { [low($0, 0), low($0, 1), low($0, 2)] }
    case .bits32: return samples.flatMap { [low($0, 0), low($0, 1), low($0, 2), low($0, 3)] }
    case .bits8: return samples.map { UInt8(truncatingIfNeeded: $0 + 128) }
    case .bits12:
      var bytes: [UInt8] = []
      for start in stride(from: 0, to: samples.count, by: 2) {
        let first = samples[start] & 0xFFF
        let second = start + 1 < samples.count ? samples[start + 1] & 0xFFF : 0
        bytes += [low(first, 0), UInt8(first >> 8) | UInt8(second >> 8) << 4]
        if start + 1 < samples.count { bytes.append(low(second, 0)) }
      }
      return bytes
    }
  }

  static let formats: [WFDBFormat] = [.bits16, .bits16Swapped, .bits24, .bits32, .bits8, .bits12]

  @Test(arguments: formats) func simulatedHeartRatesComeBack(format: WFDBFormat) {
    let rows = Array(FixtureRow.ward(of: ["hr"]).filter { $0.patient == FixtureRow.ward[0].patient }.prefix(101))
    let rates = rows.compactMap { $0.value.scaled(toExponent: 0) }
    // A second signal takes turns with the first and is missing every third time.
    let samples = rates.enumerated().flatMap { [$1 - 100, $0 % 3 == 0 ? format.invalid : Int64($0 % 9) - 4] }
    let header =
      "r1 2 1 \(rates.count) 10:30:00 05/02/2020\nr1.dat \(format.rawValue) 1(-100)/bpm 0 0 0 0 0 HR\n"
      + "r1.dat \(format.rawValue) 2(-192)/% 0 0 0 0 0 SpO2\n# made up\n"
    let imported = Record(header, ["r1.dat": WFDBImportTests.encode(samples, format)]).imported()
    let start = Timestamp.parse("2020-02-05T10:30:00Z") ?? 0
    var expected: [String] = []
    for (second, rate) in rates.enumerated() {
      let time = Timestamp.format(start + Int64(second) * 1000)
      expected.append("r1,r1,\(time),hr,\(rate),bpm,ecg")
      guard second % 3 != 0 else { continue }
      let twice = second % 9 - 4 + 192
      expected.append("r1,r1,\(time),spo2,\(twice % 2 == 0 ? "\(twice / 2)" : "\(twice / 2).5"),%,pleth")
    }
    #expect(imported.lines == expected)
    #expect(imported.counts.omitted == [.notMeasured: 34])
    #expect(rates.count == 101)
  }

  @Test func scalesAreExactWhereDecimalsCanBe() {
    func value(_ sample: Int64, _ gain: String, baseline: Int64 = 0) -> String? {
      DecimalValue(gain).flatMap { WFDBScale.value(sample, baseline: baseline, gain: $0)?.description }
    }
    #expect(value(7210, "100") == "72.1")
    #expect(value(100, "12.5") == "8")
    #expect(value(1, "0.5") == "2")
    #expect(value(-5, "200", baseline: 5) == "-0.05")
    #expect(value(1, "1e3") == "0.001")
    // A third of a step is rounded half up, finer than a tenth of one.
    #expect(value(100, "3") == "33.33")
    #expect(value(200, "3") == "66.67")
    #expect(value(-100, "3") == "-33.33")
    #expect(value(1, "0") == nil)
  }

  @Test(arguments: [("0.0166667", 60_000), ("0.016666666666667", 60_000), ("0.5", 2000), ("1", 1000), ("125", 8)])
  func periodsBelowOneHertzAreWholeSeconds(frequency: String, period: Int64) throws {
    let header = try WFDBHeader([(1, "r 1 \(frequency)"), (2, "r.dat 16")], epoch: 0)
    #expect(header.offset(ofFrame: 1000) == 1000 * period)
  }

  @Test func aHeaderThatAsksForMoreIsRefusedAsAWhole() {
    #expect(throws: WFDBHeader.Problem.segments) { try WFDBHeader([(1, "r/3 2 1 100")], epoch: 0) }
    for wrong in ["r.dat 8", "r.dat 16x4", "r.dat 16:2", "../r.dat 16", "r.dat 16 -5", "r.dat", "r.dat 16 1(x"] {
      #expect(throws: WFDBHeader.Problem.line(2), "\(wrong)") { try WFDBHeader([(1, "r 1 1"), (2, wrong)], epoch: 0) }
    }
    for wrong in ["r", "r 0", "r 2", "r 1 0", "r 1 nan", "r 1 1 x", "r 1 1 1 25:00:00", "r 1 1 1 1:0:0 40/1/2020"] {
      #expect(throws: WFDBHeader.Problem.line(1), "\(wrong)") {
        try WFDBHeader([(1, wrong), (2, "r.dat 16")], epoch: 0)
      }
    }
  }

  @Test func unknownSignalsAndUnitsAreCounted() {
    let header =
      "r1 3 1 2\nr1.dat 16 1/mV 0 0 0 0 0 MCL1\nr1.dat 16 1/furlong 0 0 0 0 0 HR\nr1.dat 16 1/mmHg 0 0 0 0 0 ABP Sys\n"
    let imported = Record(header, ["r1.dat": WFDBImportTests.encode([1, 2, 3, 4, 5, 6], .bits16)]).imported()
    #expect(imported.values == ["abp_sys=3 mmHg", "abp_sys=6 mmHg"])
    #expect(imported.sink.unknown == ["MCL1": 2])
    #expect(imported.counts.refused == [.unknownUnit: 2])
  }

  @Test func aSignalFileThatEndsEarlyIsReported() {
    let record = Record("r1 1 1 3\nr1.dat 16 1/bpm 0 0 0 0 0 HR\n", ["r1.dat": [60, 0, 61, 0, 62]])
    let imported = record.imported()
    #expect(imported.values == ["hr=60 bpm", "hr=61 bpm"])
    guard case .truncated? = imported.error else {
      Issue.record("\(String(describing: imported.error))")
      return
    }
    let missing = Record("r1 1 1 3\nr2.dat 16 1/bpm 0 0 0 0 0 HR\n", [:]).imported()
    guard case .notFound? = missing.error else {
      Issue.record("\(String(describing: missing.error))")
      return
    }
  }

  @Test func signalBytesThatLookPackedAreTakenAsTheyAre() {
    let record = Record("r1 1 1\nr1.dat 16 1/bpm 0 0 0 0 0 HR\n", ["r1.dat": [0x1F, 0x8B, 60, 0]])
    #expect(record.imported().values.last == "hr=60 bpm")
  }

  @Test func numericsAsCSVAreRead() {
    let imported = Imported("Time [s], HR, PULSE, RESP, SpO2\n0,94,93,25,97\n1,NaN,93,,97\n", .wfdb, name: "b01.csv")
    #expect(
      imported.values == [
        "hr=94 /min", "pr=93 /min", "resp=25 /min", "spo2=97 %", "pr=93 /min", "spo2=97 %",
      ])
  }

  @Test func damageNeverTraps() {
    let header = Array(
      "r1 2 0.5 4 10:30:00.5 05/02/2020\nr1.dat 212+1 1(-100)/bpm 12 0 0 0 0 HR\nr1.dat 212 2/% 12 7 0 0 0 SpO2\n".utf8)
    let data = WFDBImportTests.encode([1, 2, 3, 4, 5, 6, 7, 8], .bits12)
    for bytes in damaged(header, seed: 9, count: 25) {
      let record = Record(String(decoding: bytes, as: UTF8.self), ["r1.dat": data])
      let imported = record.imported()
      #expect(imported.lines.count == imported.counts.samples)
    }
  }
}
