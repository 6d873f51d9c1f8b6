import Testing
import VitalModel

@testable import Recordings

@Suite struct RoundTripTests {
  /// Rows of every kind, from a small linear generator with a fixed seed.
  static func wide() -> String {
    var text = "patient_id,time_s,hr,spo2,temp_c,glucose_mgdl,consciousness\n"
    var state: UInt64 = 99
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    let letters = ["A", "C", "V", "P", "U"]
    for patient in ["p1", "p 2", "\"p,3\"", "\"p \"\"4\"\"\""] {
      for second in 0..<50 {
        let spo2 = next(3) == 0 ? "" : "\(88 + next(12))"
        let temp = next(4) == 0 ? "3\(6 + next(3)).\(next(10))\(next(10))" : ""
        let letter = next(9) == 0 ? letters[Int(next(5))] : ""
        text += "\(patient),\(second).25,\(60 + next(60)),\(spo2),\(temp),\(next(5) == 0 ? "101" : ""),\(letter)\n"
      }
    }
    return text
  }

  func rewrite(_ text: String, full: Bool) throws -> String {
    let reader = RecordingReader([RecordingFile(name: "t", source: BlockSource(text, block: 1000))], registry: registry)
    var writer = LongCSVWriter(registry: registry, full: full)
    try reader.forEach { row in
      let exported = ExportedRow(row, names: reader.names)
      for cell in row.cells {
        writer.append(exported, cell: cell, source: reader.names.sources[UInt32(cell.source)])
      }
      return true
    }
    return String(decoding: writer.take(), as: UTF8.self)
  }

  @Test(arguments: [false, true]) func longCSVReadsBackTheSame(full: Bool) throws {
    let wide = Reading(RoundTripTests.wide())
    #expect(wide.refusals.isEmpty)
    let long = try rewrite(RoundTripTests.wide(), full: full)
    let again = Reading(long, block: 333)
    #expect(again.rows == wide.rows)
    #expect(again.refusals.isEmpty)
    #expect(again.counts.samples == wide.counts.samples)
    #expect(try rewrite(long, full: full) == long)
  }

  @Test func jsonLinesHaveTheContractsFields() throws {
    let text = """
      patient,device,time,code,value,unit,source,status,quality,seq,tenant
      p,d,2026-01-01T00:00:00Z,spo2,91.0,%,pleth,artifact,0.31,12,icu
      p,d,2026-01-01T00:00:00Z,consciousness,V,,,,,12,icu
      """
    let reader = RecordingReader([RecordingFile(name: "t", source: BlockSource(text))], registry: registry)
    var writer = JSONLinesWriter(registry: registry)
    try reader.forEach { row in
      writer.append(ExportedRow(row, names: reader.names), cells: row.cells) {
        reader.names.sources[UInt32($0.source)]
      }
      return true
    }
    let written = String(decoding: writer.take(), as: UTF8.self)
    #expect(
      written
        == #"{"tenant":"icu","device":"d","patient":"p","channel":"vitals","seq":12,"#
        + #""time":"2026-01-01T00:00:00.000Z","observations":[{"code":"spo2","value":91.0,"unit":"%","quality":0.31,"#
        + #""source":"pleth","status":"artifact"},{"code":"consciousness","value":"V"}]}"# + "\n")
    let again = RecordingReader([RecordingFile(name: "t", source: BlockSource(written))], registry: registry)
    let row = try #require(try again.next())
    #expect(row.sequence == 12)
    #expect(again.names.tenants[row.tenant] == "icu")
    #expect(row.cells.map(\.status) == [.artifact, .ok])
    #expect(row.cells.map(\.quality.raw) == [3100, 0xFFFF])
    #expect(Reading.describe(row, again.names) == "p d 00:00:00.000: spo2=91.0@pleth consciousness=2")
  }

  @Test func wideToJSONLinesAndBack() throws {
    let wide = Reading(RoundTripTests.wide())
    let reader = RecordingReader(
      [RecordingFile(name: "t", source: BlockSource(RoundTripTests.wide()))], registry: registry)
    var writer = JSONLinesWriter(registry: registry)
    try reader.forEach { row in
      writer.append(ExportedRow(row, names: reader.names), cells: row.cells) { _ in "" }
      return true
    }
    let again = Reading(String(decoding: writer.take(), as: UTF8.self), block: 777)
    #expect(again.rows == wide.rows)
    #expect(again.counts.samples == wide.counts.samples)
  }
}
