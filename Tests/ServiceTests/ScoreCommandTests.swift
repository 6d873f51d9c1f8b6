import Foundation
import TestSupport
import Testing

/// `vigil score`, as a person would use it (CONTRACT section 5).
@Suite struct ScoreCommandTests {
  private static func score(
    _ id: String, _ text: String, _ options: [String] = [], name: String = "in.csv"
  ) throws -> CommandProgram.Outcome {
    let program = try CommandProgram("score")
    let file = try program.folder.write(text, to: name)
    var outcome = try program.run(["score", id, file, "--rules", CommandProgram.rules] + options)
    outcome.stderr = outcome.stderr.replacingOccurrences(of: file, with: "FILE")
    return outcome
  }

  @Test func newsFromACSV() throws {
    let outcome = try ScoreCommandTests.score(
      "news2",
      """
      patient,resp,spo2,scale,oxygen,sbp,pr,consciousness,temp_f,note
      007,25,91,,1,90,131,v,95.0,"a, b"
      p2,18,93,2,1,125,80,A,98.6,
      p3,16,,1,0,120,70,A,98.6,
      """)
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let points = "respiration,spo2,oxygen,systolic,pulse,consciousness,temperature"
      .split(separator: ",").map { $0 + "_points" }.joined(separator: ",")
    #expect(
      outcome.stdout == """
        patient,resp,spo2,scale,oxygen,sbp,pr,consciousness,temp_f,note,total,complete,\(points),missing,trigger
        007,25,91,,1,90,131,v,95.0,"a, b",20,true,3,3,2,3,3,3,3,,high
        p2,18,93,2,1,125,80,A,98.6,,3,true,0,1,2,0,0,0,0,,low
        p3,16,,1,0,120,70,A,98.6,,0,false,0,,0,0,0,0,0,spo2,

        """)
    #expect(outcome.stderr.isEmpty)
  }

  @Test func jsonAsTheContractSays() throws {
    let text = """
      {"patient":"p","time":"2026-01-01T00:00:00Z","resp":22,"spo2":93,"o2_flow":0,"sbp":98,"hr":112,"consciousness":"A","temp":38.4,"bed":{"n":[1,null]}}
      {"patient":7,"resp":25}
      """
    let outcome = try ScoreCommandTests.score("news2", text, ["--json"], name: "in.jsonl")
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let lines = outcome.stdout.split(separator: "\n")
    #expect(
      lines[0]
        == #"{"patient":"p","time":"2026-01-01T00:00:00Z","total":9,"complete":true,"components":{"respiration":2,"spo2":2,"oxygen":0,"systolic":2,"pulse":2,"consciousness":0,"temperature":1},"missing":[],"trigger":"high","bed":{"n":[1,null]}}"#
    )
    let second = commandJSON(lines[1])
    #expect(second["total"] as? Int == 3)
    #expect(second["complete"] as? Bool == false)
    #expect(second["trigger"] as? String == "low-medium")
    #expect(
      second["missing"] as? [String] == ["spo2", "oxygen", "systolic", "pulse", "consciousness", "temperature"])
  }

  @Test func badCellsAreNamedAndCountedAndNeverZero() throws {
    let outcome = try ScoreCommandTests.score(
      "news2",
      """
      patient,resp,spo2,o2_flow,oxygen,sbp,hr,consciousness,temp,scale
      a,16,9x,0,0,120,70,Q,98.6,3
      b,16,97
      c,16,97,2,0,120,0,A,37.0,1
      """)
    #expect(outcome.status == .code(1))
    #expect(
      outcome.stderr == """
        vigil: FILE: row 1 (line 2), column `spo2`: `9x` is not a number
        vigil: FILE: row 1 (line 2), column `consciousness`: `Q` is none of A, C, V, P, U
        vigil: FILE: row 1 (line 2), column `temp`: 98.6 Cel is outside 20 to 46
        vigil: FILE: row 1 (line 2), column `scale`: `3` is not a scale: 1 or 2
        vigil: FILE: row 2 (line 3): 3 cells under 10 columns
        vigil: FILE: row 3 (line 4), column `hr`: 0 is a lost signal unless its source can see it; leave the cell empty
        vigil: FILE: row 3 (line 4), column `oxygen`: 0 contradicts `o2_flow`: give one of them
        vigil: FILE: 7 cells or rows could not be used; 2 of 3 rows scored

        """)
    let rows = outcome.stdout.split(separator: "\n")
    #expect(rows.count == 3)
    #expect(rows[1].hasSuffix(",0,false,0,,0,0,0,,,spo2;consciousness;temperature,"))
    #expect(rows[2].hasSuffix(",2,false,0,0,2,0,,0,0,pulse,"))
  }

  @Test func otherScoresAgesAndRatios() throws {
    let pews = try ScoreCommandTests.score(
      "bedside_pews",
      """
      patient,age_years,age_months,hr,resp,sbp,spo2,o2_flow,crt,respiratory_effort
      a,2,,150,41,100,94,1,1,M
      b,,1,190,91,45,90,4,3,S
      c,,,105,30,100,98,0,1,N
      d,3,5,105,30,100,98,0,1,N
      """, ["--json"])
    let rows = pews.stdout.split(separator: "\n").map { commandJSON($0) }
    #expect(rows.map { $0["total"] as? Int } == [7, 26, 0, 0])
    #expect(rows.map { $0["trigger"] as? String } == ["negative", "positive", nil, nil])
    #expect(rows[2]["missing"] as? [String] == ["pulse", "respiration", "systolic"])
    #expect(pews.status == .code(1))
    #expect(pews.stderr.contains("row 4 (line 5), column `age_years`: 3 years beside 5 months: give one of them"))
    let index = try ScoreCommandTests.score("shock_index", "hr,sbp\n118,86\n", ["--json"])
    #expect(index.stdout.contains(#""values":{"shock_index":1.37},"missing":[],"trigger":"strong""#))
  }

  @Test(arguments: [
    ("", "FILE: no rows and no header"),
    (
      "a,b\n1,2\n",
      "FILE: no column is an input of news2 (resp, spo2, o2_flow, fio2, sbp, abp_sys, hr, pr, consciousness, temp, oxygen, scale)"
    ),
    ("hr,heart_rate\n1,2\n", "FILE: columns `hr` and `heart_rate` give the same: keep one"),
    ("hr,total\n1,2\n", "FILE: column `total` has the name of a result: rename it"),
    ("hr,\"x\n1,2\n", "FILE:1: a quoted column name is not closed"),
  ])
  func tablesThatCannotBeScored(text: String, says: String) throws {
    let outcome = try ScoreCommandTests.score("news2", text)
    #expect(outcome.status == .code(1))
    #expect(outcome.stderr == "vigil: \(says)\n")
  }

  @Test func wrongUse() throws {
    let program = try CommandProgram("score-use")
    let unknown = try program.run(["score", "newss2", "x", "--rules", CommandProgram.rules])
    #expect(unknown.status == .code(2))
    #expect(unknown.stderr.hasPrefix("vigil: no score `newss2`, did you mean `news2`? (scores: bedside_pews, mews, "))
    let absent = try program.run(["score", "news2", program.folder.file("none.csv"), "--rules", CommandProgram.rules])
    #expect(absent.status == .code(1))
    #expect(absent.stderr.hasSuffix("none.csv: no such file\n"))
  }

  @Test func nonsenseNeverEndsTheProgramOtherwiseThanByItself() throws {
    var generator = SeededGenerator(seed: 7)
    let pieces = [
      "hr", ",", "\"", "\n", "{", "}", "[", ":", "1e400", "-9223372036854775808", "99999999999999999999", "NaN",
      "\u{0}",
      "A", "0.0000000000000000001", "spo2", "null", "\u{FEFF}", "\r\n", "é", "1e-400", "temp_f", "true",
    ]
    for round in 0..<20 {
      var text = round % 2 == 0 ? "resp,spo2,hr,temp_f,consciousness,age_years\n" : "{\"hr\":"
      for _ in 0..<200 { text += pieces[Int.random(in: 0..<pieces.count, using: &generator)] }
      let outcome = try ScoreCommandTests.score("news2", text, round % 3 == 0 ? ["--json"] : [])
      #expect(outcome.status == .code(1) || outcome.status == .code(0), "round \(round)")
    }
  }

  @Test func checkHoldsSettingsAgainstTheRules() throws {
    let program = try CommandProgram("check-settings")
    let roster = try program.folder.write(
      """
      patients: [{ id: p }]
      settings:
        - { patient: p, rule: spo2-low, parameter: limit, value: 50, author: dr-a, reason: test }

      """, to: "roster.yaml")
    let configuration = try program.folder.write("roster: \(roster)\n", to: "vigil.yaml")
    let bad = try program.run(["check", "-c", configuration, CommandProgram.rules])
    #expect(bad.status == .code(78))
    #expect(bad.stderr.contains("roster.yaml:3:60: `limit` 50 is below its minimum"))
    let text = try String(contentsOfFile: roster, encoding: .utf8).replacingOccurrences(
      of: "value: 50", with: "value: 88")
    _ = try program.folder.write(text, to: "roster.yaml")
    #expect(try program.run(["check", "-c", configuration, CommandProgram.rules]).status == .code(0))
  }
}
