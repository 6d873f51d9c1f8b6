import Testing
import VitalModel

@testable import Recordings

@Suite struct LongCSVTests {
  let header = "patient,device,time,code,value,unit\n"

  @Test(arguments: [1, 5, 4096]) func neighboursOfOneTimeAreOneMessage(block: Int) {
    let reading = Reading(
      header + """
        p1,d1,2026-01-01T00:00:00.000Z,hr,72,/min
        p1,d1,2026-01-01T00:00:00.000Z,spo2,97,%
        p1,d2,2026-01-01T00:00:00.000Z,temp,98.6,[degF]
        p2,d1,2026-01-01T00:00:00.000Z,hr,80,
        p2,d1,2026-01-01T00:00:01.000Z,consciousness,A,
        """, block: block)
    #expect(
      reading.rows == [
        "p1 d1 00:00:00.000: hr=72 spo2=97", "p1 d2 00:00:00.000: temp=98.6 [degF]", "p2 d1 00:00:00.000: hr=80",
        "p2 d1 00:00:01.000: consciousness=0",
      ])
    #expect(reading.counts.messages == 4)
    #expect(reading.counts.samples == 5)
  }

  @Test func optionalColumnsAreRead() throws {
    let text = #"""
      patient,device,time,code,value,unit,source,status,quality,seq,tenant,ingest_time,flags
      "a ""b""",d,2026-01-01T00:00:00Z,spo2,91,%,pleth,artifact,0.31,12,icu,2026-01-01T00:00:02Z,corrected simulated
      """#
    let reader = RecordingReader(
      [RecordingFile(name: "t", source: BlockSource(text))], registry: registry)
    let row = try #require(try reader.next())
    let cell = try #require(row.cells.first)
    #expect(reader.names.patients[row.patient] == "a \"b\"")
    #expect(reader.names.tenants[row.tenant] == "icu")
    #expect(row.sequence == 12)
    #expect(row.ingestTime == row.time + 2000)
    #expect(cell.status == .artifact)
    #expect(cell.quality.raw == 3100)
    #expect(cell.flags == [.corrected, .simulated, .hasSequence, .endOfMessage])
    #expect(reader.names.sources[UInt32(cell.source)] == "pleth")
    #expect(try reader.next() == nil)
  }

  @Test func refusalsByReason() {
    let reading = Reading(
      header + """
        p,d,2026-01-01T00:00:00Z,xyz,72,
        p,d,2026-01-01T00:00:00Z,hr,,
        p,d,2026-01-01T00:00:00Z,hr,seventy,
        p,d,2026-01-01T00:00:00Z,hr,72,furlong
        p,d,today,hr,72,
        p,d,2026-01-01T00:00:00Z,hr,72,/min
        """)
    #expect(reading.rows == ["p d 00:00:00.000: hr=72"])
    #expect(reading.refusals.map(\.reason) == [.unknownCode, .malformed, .unknownUnit, .malformed])
    #expect(reading.refusals.map(\.line) == [2, 4, 5, 6])
    #expect(reading.counts.samples == 4)
    #expect(reading.counts.cells == 1)
  }

  @Test func aMessageOfManyCellsIsGivenOutInParts() {
    let lines = String(repeating: "p,d,2026-01-01T00:00:00Z,hr,72,\n", count: LongCSVParser.mostCells + 3)
    let reading = Reading(header + lines, block: 65_536)
    #expect(reading.counts.messages == 2)
    #expect(reading.counts.cells == LongCSVParser.mostCells + 3)
  }
}
