import Testing
import VitalModel

@testable import Recordings

@Suite struct SorterTests {
  func order(_ text: String, _ by: RecordingSorter.Order, cellsMax: Int = 1000) throws -> [String] {
    let reader = RecordingReader([RecordingFile(name: "t", source: BlockSource(text))], registry: registry)
    let sorter = RecordingSorter(names: reader.names, by: by, cellsMax: cellsMax)
    try reader.forEach { sorter.add($0) }
    #expect(sorter.memory >= min(cellsMax, sorter.count) * 24)
    var rows: [String] = []
    try sorter.forEach {
      #expect($0.cells.last?.flags.contains(.endOfMessage) == true)
      #expect($0.cells.dropLast().allSatisfy { !$0.flags.contains(.endOfMessage) })
      rows.append(Reading.describe($0, reader.names))
      return true
    }
    #expect(sorter.count == rows.count)
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

  /// Rows of many times and devices, most of them several at one moment, told apart by their values.
  private var shuffled: String {
    var (text, state) = ("patient,device,time,code,value,unit\n", UInt64(11))
    func next(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % bound
    }
    for row in 0..<400 {
      let (patient, time) = (next(5), 1_577_836_800_000 + next(9) * 1000)
      let code = ["hr,\(40 + row % 200),/min", "spo2,\(60 + row % 40),%"][Int(next(2))]
      // Names come late and in no order.
      text += "p\(9 - patient),d\(row < 200 ? 5 : next(4)),\(time),\(code)\n"
    }
    return text
  }

  /// Runs on disk, merged, are what sorting in memory gives: with runs of one row, of a few, and a last one half full.
  @Test(arguments: [RecordingSorter.Order.byTime, .byPatient]) func runsOnDiskChangeNothing(
    _ by: RecordingSorter.Order
  ) throws {
    let inMemory = try order(shuffled, by)
    #expect(inMemory.count > 300 && inMemory != inMemory.sorted())
    for cellsMax in [1, 3, 64, 399] {
      #expect(try order(shuffled, by, cellsMax: cellsMax) == inMemory, "\(cellsMax) cells")
    }
  }

  /// A row larger than what is kept, and than what is read of a run at a time.
  @Test func aRowMayBeLargerThanABuffer() throws {
    let names = RecordingNames()
    let (patient, device) = (names.patients.number(of: "p"), names.devices.number(of: "d"))
    let tenant = names.tenants.number(of: "t")
    let sorter = RecordingSorter(names: names, cellsMax: 2)
    let code = try #require(registry.code("hr"))
    for (time, count) in [(3, 1), (2, 9000), (1, 2)] {
      let cells = (0..<count).map { RecordedCell(code: code, unit: 0, value: DecimalValue(mantissa: Int64($0))) }
      cells.withUnsafeBufferPointer { cells in
        _ = sorter.add(
          RecordedRow(
            patient: patient, device: device, tenant: tenant, time: Int64(time), sequence: RecordedRow.absent,
            ingestTime: RecordedRow.absent, cells: cells))
      }
    }
    var seen: [[Int64]] = []
    try sorter.forEach { row in
      seen.append([row.time, Int64(row.cells.count)] + (row.cells.last.map { [$0.value.mantissa] } ?? []))
      return true
    }
    #expect(seen == [[1, 2, 1], [2, 9000, 8999], [3, 1, 0]])
  }

  /// What the engine is given of a row must not depend on who wrote its columns in which order.
  @Test func cellsComeInTheOrderOfTheirCodesHoweverTheyStand() throws {
    let expected = ["p p 00:00:00.000: hr=72 spo2=97 resp=14", "p p 00:00:01.000: hr=73 resp=15"]
    for columns in [["hr", "spo2", "resp"], ["resp", "spo2", "hr"], ["spo2", "resp", "hr"]] {
      let first = columns.map { ["hr": "72", "spo2": "97", "resp": "14"][$0] ?? "" }.joined(separator: ",")
      let second = columns.map { ["hr": "73", "resp": "15"][$0] ?? "" }.joined(separator: ",")
      let reading = Reading("patient_id,time_s,\(columns.joined(separator: ","))\np,0,\(first)\np,1,\(second)\n")
      #expect(reading.rows == expected, "\(columns)")
      let long = columns.map { "p,p,0,\($0),\(["hr": "72", "spo2": "97", "resp": "14"][$0] ?? "")\n" }.joined()
      #expect(Reading("patient,device,time_s,code,value\n" + long).rows == [expected[0]], "\(columns)")
    }
  }

  @Test func valuesOfOneCodeKeepTheirOrder() {
    let reading = Reading("patient,device,time_s,code,value\np,p,0,spo2,97\np,p,0,hr,72\np,p,0,hr,71\n")
    #expect(reading.rows == ["p p 00:00:00.000: hr=72 hr=71 spo2=97"])
  }

  /// Streamed as it stands, such a recording would give other alerts than sorted.
  @Test func rowsOfOneTimeHaveAnOrderToo() throws {
    let header = "patient,device,time_s,code,value\n"
    let lines = ["p,b,0,hr,72\n", "p,a,0,spo2,97\n", "p,a,1,spo2,96\n", "p,b,1,hr,73\n"]
    #expect(Reading(header + lines.joined()).counts.outOfOrder == 1)
    #expect(Reading(header + lines[1] + lines[0] + lines[2] + lines[3]).counts.outOfOrder == 0)
    let sorted = try order(header + lines.joined(), .byTime)
    #expect(try order(header + lines.reversed().joined(), .byTime) == sorted)
    #expect(sorted.first == "p a 00:00:00.000: spo2=97")
  }

  @Test func sizesAreAsStated() {
    #expect(MemoryLayout<RecordedCell>.stride == 24)
    #expect(MemoryLayout<StoredRow>.stride == 48)
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
