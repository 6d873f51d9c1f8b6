import Testing
import VitalModel

@testable import Recordings

@Suite struct SorterTests {
  func order(_ text: String, _ by: RecordingSorter.Order) throws -> [String] {
    let reader = RecordingReader([RecordingFile(name: "t", source: BlockSource(text))], registry: registry)
    let sorter = RecordingSorter(names: reader.names)
    try reader.forEach {
      sorter.add($0)
      return true
    }
    sorter.sort(by)
    var rows: [String] = []
    sorter.forEach {
      #expect($0.cells.last?.flags.contains(.endOfMessage) == true)
      #expect($0.cells.dropLast().allSatisfy { !$0.flags.contains(.endOfMessage) })
      rows.append(Reading.describe($0, reader.names))
      return true
    }
    #expect(sorter.count == rows.count)
    #expect(sorter.memory >= rows.count * 52)
    return rows
  }

  let text = "patient_id,time_s,spo2,hr\nb,0,97,72\nb,2,96,73\na,2,,81\na,0,,80\n"

  @Test func byTimeMergesPatients() throws {
    #expect(
      try order(text, .byTime) == [
        "a a 00:00:00.000: hr=80", "b b 00:00:00.000: hr=72 spo2=97", "a a 00:00:02.000: hr=81",
        "b b 00:00:02.000: hr=73 spo2=96",
      ])
  }

  @Test func byPatientKeepsPatientsTogether() throws {
    #expect(
      try order(text, .byPatient) == [
        "a a 00:00:00.000: hr=80", "a a 00:00:02.000: hr=81", "b b 00:00:00.000: hr=72 spo2=97",
        "b b 00:00:02.000: hr=73 spo2=96",
      ])
  }

  @Test func orderDoesNotDependOnTheFile() throws {
    let lines = text.split(separator: "\n").map(String.init)
    let turned = ([lines[0]] + lines.dropFirst().reversed()).joined(separator: "\n")
    #expect(try order(turned, .byTime) == order(text, .byTime))
  }

  @Test func sizesAreAsStated() {
    #expect(MemoryLayout<RecordedCell>.stride == 24)
  }
}

@Suite struct TableTests {
  func file(_ text: String) -> RecordingFile { RecordingFile(name: "t", source: BlockSource(text)) }

  @Test func events() throws {
    let events = try RecordingTables.events(
      file("patient_id,time_s,event,phase\np,300,asystole,\np,301.5,asystole,end\r\n"), epoch: 0)
    #expect(events.map(\.time) == [300_000, 301_500])
    #expect(events.map(\.starts) == [true, false])
    #expect(events.map(\.event) == ["asystole", "asystole"])
    let short = try RecordingTables.events(file("patient_id,time,event\np,2026-01-01T00:00:00Z,vtach"), epoch: 0)
    #expect(short.first?.time == Timestamp.parse("2026-01-01T00:00:00Z"))
  }

  @Test func badTablesAreErrors() {
    #expect(throws: RecordingError.badCell(file: "t", line: 2, column: "time_s")) {
      try RecordingTables.events(file("patient_id,time_s,event\np,x,y\n"), epoch: 0)
    }
    #expect(throws: RecordingError.badCell(file: "t", line: 2, column: "phase")) {
      try RecordingTables.events(file("patient_id,time_s,event,phase\np,1,y,middle\n"), epoch: 0)
    }
    #expect(throws: RecordingError.missingColumn(file: "t", name: "event")) {
      try RecordingTables.events(file("patient_id,time_s\np,1\n"), epoch: 0)
    }
  }

  @Test func namesKeepTheirNumbers() {
    let table = NameTable()
    for round in 0..<2 {
      for index in 0..<500 {
        #expect(table.number(of: "patient-\(index)") == UInt32(index), "round \(round)")
      }
    }
    #expect(table.number(of: "") == 500)
    #expect(table.count == 501)
    #expect(table[7] == "patient-7")
  }
}
