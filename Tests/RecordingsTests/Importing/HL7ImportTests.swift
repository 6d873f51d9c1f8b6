import Testing
import VitalModel

@testable import Recordings

@Suite struct HL7ImportTests {
  /// A time as HL7 writes it, UTC.
  static func time(_ milliseconds: Int64) -> String {
    let text = Timestamp.format(milliseconds).filter { $0.isNumber || $0 == "." }
    return text + "+0000"
  }

  static func header(_ kind: String = "ORU^R01^ORU_R01", time: String = "20200101000000+0000") -> String {
    "MSH|^~\\&|GW|W|EHR|W|\(time)||\(kind)|1|P|2.6"
  }

  /// One message a row, as an interface engine would write it.
  static func message(_ rows: [FixtureRow], end: String = "\r") -> String {
    rows.enumerated().map { number, row in
      let term = codedRegistry.code(row.key).map { codedRegistry[$0] }
      let code =
        term?.mdc.first.map { "\($0.number)^\($0.referenceID)^MDC" } ?? "\(term?.loinc.first ?? "")^\(row.key)^LN"
      return [
        header(), "PID|||\(row.patient)^^^W||Name^Somebody", "OBR|1|||182777000^monitoring^SCT|||\(time(row.time))",
        "OBX|\(number)|NM|\(code)|1.2.1.1|\(row.value)|\(row.unit)|||||F|||\(time(row.time))||||\(row.device)^^^",
      ].joined(separator: end) + end
    }.joined()
  }

  static let rows = FixtureRow.ward(of: ["hr", "spo2", "resp", "sbp", "temp"])

  func expected(_ rows: [FixtureRow]) -> [String] {
    rows.map { row in
      var row = row
      row.source = ""
      return row.line
    }
  }

  @Test(arguments: ["\r", "\n", "\r\n"]) func aSimulatedWardComesBack(end: String) {
    let imported = Imported(HL7ImportTests.message(HL7ImportTests.rows, end: end), .hl7)
    #expect(imported.lines == expected(HL7ImportTests.rows))
    #expect(imported.lines.count > 200)
    #expect(imported.refusals.isEmpty)
  }

  @Test func framesAreTakenOff() {
    let few = Array(HL7ImportTests.rows.prefix(20))
    let framed = few.map { "\u{0B}" + HL7ImportTests.message([$0]) + "\u{1C}\r" }.joined()
    for block in [1, 7, 4096] { #expect(Imported(framed, .hl7, block: block).lines == expected(few)) }
  }

  func observe(_ fields: String, header: String = header(), obr: String = "OBR|1||||||20200101003000") -> Imported {
    Imported([header, "PID|||p1", obr, "OBX|1|" + fields].joined(separator: "\r") + "\r", .hl7, name: "f")
  }

  @Test func unitsOfMonitorsAreUnderstood() {
    #expect(observe("NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1|91|262688^MDC_DIM_PERCENT^MDC|||||R").values == ["spo2=91 %"])
    #expect(observe("NM|8480-6^Sys^LN|1|16.0|265987^MDC_DIM_KILO_PASCAL^MDC|||||F").values == ["sbp=16.0 kPa"])
    #expect(observe("NM|8480-6^Sys^LN|1|120|mmHg|||||F").values == ["sbp=120 mmHg"])
    #expect(observe("NM|8480-6^Sys^LN|1|120||||||F").refusals == ["f:4: sbp: unknown_unit"])
  }

  @Test func theReferenceIdStandsAboveTheNumber() {
    let imported = observe("NM|147842^MDC_PULS_OXIM_SAT_O2^MDC|1|91|%|||||F")
    #expect(imported.values == ["spo2=91 %"])
    #expect(imported.counts.disagreements == 1)
    #expect(observe("NM|8867-4^Heart rate^LOCAL|1|70|/min|||||F").sink.unknown == ["8867-4": 1])
    // What is no code may be a person's name.
    #expect(observe("NM|Doe^John^LOCAL|1|70|/min|||||F").sink.unknown == ["free text": 1])
    #expect(observe("NM|HRT^Puls^LOCAL^8867-4^Heart rate^LN|1|70|/min|||||F").values == ["hr=70 /min"])
  }

  @Test func numbersMayHaveSignsAndZerosInFront() {
    func value(_ text: String) -> [String] { observe("NM|8310-5^T^LN|1|\(text)|Cel|||||F").values }
    #expect(value("+036.50") == ["temp=36.50 Cel"])
    #expect(value("-0.5") == ["temp=-0.5 Cel"])
    #expect(value(".5") == ["temp=0.5 Cel"])
    for bad in ["<36", "36~37", "+-3", "--3", "3 6", String(repeating: "9", count: 30)] { #expect(value(bad) == []) }
  }

  @Test(arguments: [("D", ImportOmission.withdrawn), ("W", .withdrawn), ("X", .notMeasured)])
  func whatHoldsNoResultIsPassedOver(status: String, why: ImportOmission) {
    let imported = observe("NM|8867-4^HR^LN|1|70|/min|||||\(status)")
    #expect(imported.lines.isEmpty)
    #expect(imported.counts.omitted == [why: 1])
  }

  @Test func anOffsetComesFromTheTimeElseTheMessageElseUTC() {
    func time(_ own: String, header: String) -> Substring? {
      observe("NM|8867-4^HR^LN|1|70|/min|||||F|||\(own)", header: HL7ImportTests.header(time: header))
        .lines.first?.split(separator: ",")[2]
    }
    #expect(time("20200101120000.5-0500", header: "20200101000000+0100") == "2020-01-01T17:00:00.500Z")
    #expect(time("202001011200", header: "20200101000000+0100") == "2020-01-01T11:00:00.000Z")
    #expect(time("20200101120000", header: "20200101000000") == "2020-01-01T12:00:00.000Z")
    #expect(time("", header: "20200101000000") == "2020-01-01T00:30:00.000Z")
    #expect(time("20200101", header: "20200101000000") == nil)
  }

  @Test func marksAndEscapesAreThoseOfTheMessage() {
    let imported = Imported(
      "MSH#*~!&#GW####20200101000000##ORU*R01\rPID###p!F!1!S!!X41!\rOBR#1######20200101003000\r"
        + "OBX#1#NM#8867-4*HR*LN##70#/min#####F\r", .hl7)
    #expect(imported.lines.first?.hasPrefix("p#1*A,GW,") == true)
  }

  @Test func alarmsAndStrayTextAreNoSamples() {
    let alarm = HL7ImportTests.message([HL7ImportTests.rows[0]]).replacing("ORU^R01^ORU_R01", with: "ORU^R40^ORU_R40")
    #expect(Imported(alarm, .hl7).counts.omitted == [.otherKind: 1])
    #expect(Imported("OBX|1|NM|8867-4^HR^LN|1|70|/min|||||F\r", .hl7).refusals == ["p1.txt:1: MSH: malformed"])
    #expect(Imported("MSHAAAAAAAAAAAA\r", .hl7).refusals == ["p1.txt:1: MSH: malformed"])
  }

  @Test func damageNeverTraps() {
    let text = HL7ImportTests.message(Array(HL7ImportTests.rows.prefix(3)))
    #expect(Imported.survive(Array(("\u{0B}" + text + "\u{1C}\r").utf8), .hl7, count: 60))
  }
}
