import Compression
import Testing
import VitalModel

@testable import Recordings

@Suite struct WideCSVTests {
  @Test(arguments: [1, 3, 7, 64, 4096]) func rowsAreMessagesWhateverTheBlocks(block: Int) {
    let reading = Reading(
      "patient_id,time_s,hr,spo2,temp_c\np1,0,72,97,\np1,1.5,73,,36.80\np2,0,,,\np2,60,80,91,37.1\n", block: block)
    #expect(
      reading.rows == [
        "p1 p1 00:00:00.000: hr=72 spo2=97", "p1 p1 00:00:01.500: hr=73 temp=36.80",
        "p2 p2 00:01:00.000: hr=80 spo2=91 temp=37.1",
      ])
    #expect(reading.counts.lines == 4)
    #expect(reading.counts.messages == 3)
    #expect(reading.counts.samples == 7)
    #expect(reading.refusals.isEmpty)
  }

  @Test func oddFormsAreTolerated() {
    let reading = Reading("\u{FEFF}PATIENT_ID,Time_S,HR\r\n\"p,1\",0,72\r\n\r\np2, 1 , 80 ")
    #expect(reading.rows == ["p,1 p,1 00:00:00.000: hr=72", "p2 p2 00:00:01.000: hr=80"])
  }

  @Test func absoluteTimesAndEpoch() {
    let absolute = Reading("patient_id,time,hr\np,2026-11-20T22:38:00.123+01:00,72\np,1795214279000,73\n")
    #expect(absolute.rows == ["p p 21:38:00.123: hr=72", "p p 22:37:59.000: hr=73"])
    var options = RecordingOptions()
    options.epoch = 3_600_000
    #expect(Reading("patient_id,time_s,hr\np,-1,72\n", options: options).rows == ["p p 00:59:59.000: hr=72"])
  }

  @Test func unknownColumnsAreNamedOnceAndCounted() {
    let reading = Reading("patient_id,time_s,hr,bp_source,note\np,0,72,N,\np,1,73,A,\n")
    #expect(reading.reader.unknownColumns.map(\.name) == ["bp_source", "note"])
    #expect(reading.reader.unknownColumns.map(\.cells) == [2, 0])
    #expect(reading.counts.skippedCells == 2)
    #expect(reading.counts.samples == 2)
  }

  @Test func mapsNameKeyUnitAndSource() {
    var options = RecordingOptions()
    options.columns.targets["hr2"] = .init(key: "hr", source: "ecg2")
    options.columns.ignored = ["age_ecg1"]
    let accepted = ["Zucker=glucose:mg/dL", "Zucker", "Zucker=glucose:"].map { options.columns.add(argument: $0) }
    #expect(accepted == [true, false, false])
    options.device = "m-1"
    let reading = Reading("patient_id,time_s,hr,HR2,Zucker,age_ecg1\np,0,72,74,98,0.5\n", options: options)
    #expect(reading.rows == ["p m-1 00:00:00.000: hr=72 hr=74@ecg2 glucose=98 mg/dL"])
    #expect(reading.counts.skippedCells == 0)
    options.columns.targets["x"] = .init(key: "nothing")
    #expect(
      Reading("patient_id,time_s,x\np,0,1\n", options: options).error
        == .badMapping(column: "x", key: "nothing", unit: nil))
  }

  @Test func badCellsAreRefusedAndTheRestOfTheRowIsKept() {
    let reading = Reading("patient_id,time_s,hr,spo2,consciousness\np,0,7x,97,v\np,1,72,NaN,Q\n")
    #expect(reading.rows == ["p p 00:00:00.000: spo2=97 consciousness=2", "p p 00:00:01.000: hr=72"])
    #expect(reading.refusals.map(\.line) == [2, 3, 3])
    #expect(reading.refusals.map(\.column) == ["hr", "spo2", "consciousness"])
    #expect(reading.refusals.map(\.text) == ["7x", "NaN", "Q"])
    #expect(reading.counts.refused == [.malformed: 3])
    #expect(reading.counts.samples == reading.counts.cells + 3)
  }

  @Test func badRowsAreRefusedWhole() {
    let reading = Reading(
      "patient_id,time_s,hr,spo2\n,0,72,97\np,soon,72,97\np,1,72\np,2,\"72,97\np,99999999999999,72,97\np,3,72,97\n")
    #expect(reading.rows == ["p p 00:00:03.000: hr=72 spo2=97"])
    #expect(reading.refusals.map(\.line) == [2, 3, 4, 5, 6])
    #expect(reading.refusals.map(\.cells) == [2, 2, 1, 1, 2])
    #expect(reading.counts.samples == 10)
  }

  @Test func headersThatAreNoRecording() {
    #expect(Reading("hello\n").error == .unknownShape(file: "test"))
    #expect(Reading("").error == .unknownShape(file: "test"))
    #expect(Reading("patient_id,hr\np,72\n").error == .missingColumn(file: "test", name: "time_s"))
  }

  @Test func aCutFileTellsHowFarItGot() {
    let reading = Reading("patient_id,time_s,hr\np,0,72\np,1,7", failure: .truncated)
    #expect(reading.rows == ["p p 00:00:00.000: hr=72"])
    #expect(reading.error == .truncated(file: "test", line: 2))
  }

  @Test func linesBeyondOneMebibyteArePassedOver() {
    let long = String(repeating: "x", count: LineScanner.longest + 300_000)
    let reading = Reading("patient_id,time_s,hr\np,0,72\n\(long)\np,1,73\n\(long)", block: 65_536)
    #expect(reading.rows == ["p p 00:00:00.000: hr=72", "p p 00:00:01.000: hr=73"])
    #expect(reading.refusals.map(\.reason) == [.oversize, .oversize])
    #expect(reading.refusals.map(\.line) == [3, 5])
    #expect(reading.refusals[0].text.utf8.count == 256)
  }

  @Test func severalFilesShareTheirNames() throws {
    let header = "patient_id,time_s,hr\n"
    let reader = RecordingReader(
      [
        RecordingFile(name: "a", source: BlockSource(header + "p1,5,72\np2,0,73\n")),
        RecordingFile(name: "b", source: BlockSource(header + "p1,0,74\n")),
      ], registry: registry)
    var patients: [UInt32] = []
    try reader.forEach {
      patients.append($0.patient)
      return true
    }
    #expect(patients == [0, 1, 0])
    #expect(reader.counts.outOfOrder == 1)
  }

  @Test func aMissingFileIsSaid() {
    let reader = RecordingReader([RecordingFile(path: "/nonexistent/x.csv")], registry: registry)
    #expect(throws: RecordingError.notFound(file: "/nonexistent/x.csv")) { try reader.next() }
  }
}
