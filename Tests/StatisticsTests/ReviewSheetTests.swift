import Testing
import VitalModel

@testable import Statistics

@Suite struct ReviewSheetTests {
  static func items(_ count: Int) -> [ReviewItem] {
    (0..<count).map { number in
      ReviewItem(
        alertID: "a\(number)", rule: number % 3 == 0 ? "low" : "high", title: "Saturation, \"low\"",
        time: Int64(number) * 1000,
        patient: "p-\(number % 4)", code: "spo2", value: DecimalValue(mantissa: 850 + Int64(number), exponent: -1),
        unit: "%")
    }
  }

  /// A sheet with one cell of each row filled.
  func filled(_ text: String, _ verdicts: [String]) -> String {
    var lines = text.split(separator: "\n").map(String.init)
    for (row, verdict) in verdicts.enumerated() { lines[row + 1] = lines[row + 1].dropLast(2) + "\(verdict),anna," }
    return lines.joined(separator: "\n")
  }

  @Test func whatGoesOutComesBackWithVerdicts() throws {
    let sheet = ReviewSheet.csv(ReviewSheetTests.items(4), withPatients: true)
    let rows = try ReviewedSheet(filled(sheet, ["true", "FALSE", "", "unsure"]), file: "r").rows
    #expect(rows.map(\.alertID) == ["a0", "a1", "a2", "a3"])
    #expect(rows.map(\.verdict) == [.isTrue, .isFalse, nil, .unsure])
    #expect(rows.map(\.reviewer) == ["anna", "anna", "anna", "anna"])
    #expect(rows.map(\.patient) == ["p-0", "p-1", "p-2", "p-3"])
    #expect(rows.map(\.time) == [0, 1000, 2000, 3000])
  }

  @Test func patientsAreNumbersUnlessAskedFor() throws {
    let sheet = ReviewSheet.csv(ReviewSheetTests.items(4), withPatients: false)
    #expect(!sheet.contains("p-"))
    #expect(try ReviewedSheet(sheet, file: "r").rows.allSatisfy { $0.patient == nil })
    #expect(!ReviewSheet.json(ReviewSheetTests.items(4), withPatients: false).contains("p-"))
    #expect(ReviewSheet.json(ReviewSheetTests.items(4), withPatients: true).contains(#""patient_id":"p-3""#))
  }

  @Test func ofEachRuleAsManyAreDrawnAndTheSeedDecidesWhich() {
    let items = ReviewSheetTests.items(60)
    let drawn = ReviewSheet.drawn(items, perRule: 7, seed: 1)
    #expect(drawn.count { $0.rule == "low" } == 7 && drawn.count { $0.rule == "high" } == 7)
    #expect(drawn == ReviewSheet.drawn(items, perRule: 7, seed: 1))
    #expect(drawn != ReviewSheet.drawn(items, perRule: 7, seed: 2))
    #expect(drawn.map(\.time) == drawn.map(\.time).sorted())
    #expect(ReviewSheet.drawn(items, perRule: 1000, seed: 1) == items)
  }

  @Test func whatSpreadsheetsMakeOfItIsRead() throws {
    let text =
      "\u{FEFF}Alert_ID;Verdict;Comment;Reviewer\r\na1;true;\"two\r\nlines; \"\"quoted\"\"\";bo\r\na2;not relevant\r\n;;;\r\n"
    let rows = try ReviewedSheet(text, file: "r").rows
    #expect(rows.map(\.verdict) == [.isTrue, .notRelevant])
    #expect(rows.map(\.line) == [2, 4])
    #expect(rows.map(\.reviewer) == ["bo", ""])
  }

  @Test(arguments: [
    ("", "r: it is empty"),
    ("alert_id,time\n", "r:1: there is no column `verdict`: is it a sheet of `vigil label export`?"),
    ("alert_id,verdict\na,yes\n", "r:2: verdict `yes` is none of true, actionable, false, not-relevant, unsure"),
    ("alert_id,verdict\na,\"true\n", "r: a quote is never closed"),
    ("alert_id,verdict\n,true\n", "r:2: it has no alert_id, or more cells than the first line"),
  ])
  func aWrongSheetIsRefusedWithItsPlace(text: String, message: String) {
    #expect(throws: LabelProblem.self) { try ReviewedSheet(text, file: "r") }
    do { _ = try ReviewedSheet(text, file: "r") } catch { #expect(error.description == message) }
  }

  @Test func cellsThatLookLikeFormulasAreDisarmed() {
    #expect(SheetText.cell("=1+1") == "'=1+1")
    #expect(SheetText.cell("-5") == "-5")
    #expect(SheetText.cell("a,\"b\"") == "\"a,\"\"b\"\"\"")
  }

  // MARK: Traces

  @Test func aTraceKeepsItsCourseAndItsGaps() {
    var trace = TraceThumbnail(range: 0..<40_000, marked: 30_500, limit: 90)
    for second in 0..<40 where second < 10 || second >= 20 {
      trace.add(second < 30 ? 96 : 84, at: Int64(second) * 1000)
    }
    trace.add(1000, at: 40_000)
    trace.add(1000, at: -1)
    trace.add(.nan, at: 100)
    #expect(
      trace.sparkline == String(repeating: "█", count: 10) + "··········" + String(repeating: "█", count: 10) + "|"
        + String(repeating: "▁", count: 10))
    #expect(trace.means[0] == 96 && trace.means[15] == nil && trace.means[39] == 84)
    #expect(trace.svg.hasPrefix("<svg ") && trace.svg.hasSuffix("</svg>"))
    #expect(trace.svg.contains("stroke-dasharray") && trace.svg.contains("<title>from 84 to 96</title>"))
  }

  @Test func aFlatTraceAndAnEmptyOneAreDrawnToo() {
    var trace = TraceThumbnail(range: 0..<100, marked: 0)
    #expect(trace.sparkline.isEmpty && trace.svg.isEmpty)
    trace.add(-0.04, at: 50)
    #expect(trace.sparkline.contains("▅") && trace.svg.contains("<title>from 0 to 0</title>"))
    trace.add(1e300, at: 60)
    #expect(trace.svg.contains("</svg>"))
  }
}
