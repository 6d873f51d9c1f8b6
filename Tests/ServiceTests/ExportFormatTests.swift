import Foundation
import TestSupport
import Testing

@testable import Service

/// `vigil export` in every format, of the same store.
@Suite struct ExportFormatTests {
  private func export(_ program: CommandProgram, _ ward: Ward, _ more: [String]) throws -> CommandProgram.Outcome {
    try program.run(["export", "--store", ward.folder.file("store"), "--json"] + more)
  }

  @Test func everyFormatHoldsTheSameSamplesLiveAndStopped() throws {
    let program = try CommandProgram("export")
    let ward = try Ward()
    try ward.start()
    for index in 0..<5 {
      let time = ward.now - 10_000 + Int64(index) * 1000
      try ward.send(
        "d-1", "{\"time\":\(time),\"observations\":[{\"code\":\"sbp\",\"value\":120},{\"code\":\"dbp\",\"value\":80}]}")
      try ward.send("d-2", "temp", "36.\(index)0", at: time)
    }
    try ward.flush()
    _ = try ward.settle(15)
    var made: [[Data]] = []
    for isLive in [true, false] {
      if !isLive { ward.stop() }
      var files: [Data] = []
      for format in ["csv", "jsonl", "arrow", "fhir-ndjson"] {
        let outcome = try export(program, ward, ["--format", format, "--output", program.folder.file(format)])
        #expect(outcome.status == .code(0), "\(outcome.stderr)")
        #expect(commandJSON(outcome.stderr)["samples"] as? Int == 15, "\(format)")
        files.append(try program.bytes(format))
      }
      made.append(files)
    }
    // Sealed or not, the same bytes.
    #expect(made[0] == made[1])
    #expect(try program.lines("csv").count == 16)
    // Two pressures are one panel.
    #expect(try program.lines("fhir-ndjson").count == 10)
    let arrow = try program.bytes("arrow")
    #expect(arrow.count % 8 == 0 && arrow.prefix(4) == Data([255, 255, 255, 255]))
    #expect(arrow.suffix(8) == Data([255, 255, 255, 255, 0, 0, 0, 0]))

    let file = program.folder.file("one")
    let one = try export(
      program, ward, ["--format", "arrow", "--patients", "d-2", "--codes", "temp", "--output", file])
    #expect(commandJSON(one.stderr)["samples"] as? Int == 5)
    let bytes = try program.bytes("one")
    // Nobody is named of whom nothing is exported.
    #expect(bytes.range(of: Data("d-1".utf8)) == nil && bytes.range(of: Data("d-2".utf8)) != nil)
    let none = try export(program, ward, ["--format", "fhir-ndjson", "--from", "2100-01-01T00:00:00Z"])
    #expect(none.status == .code(0) && none.stdout.isEmpty)
  }

  @Test(arguments: [["--format", "parquet"], ["--format", "arrow", "--full"]])
  func whatCannotBeMadeIsOneLine(flags: [String]) throws {
    let program = try CommandProgram("export-usage")
    let outcome = try program.run(["export", "--store", program.folder.file("none")] + flags)
    #expect(outcome.status == .code(2))
    #expect(
      outcome.stderr.split(separator: "\n").count == 1
        && outcome.stderr.contains(flags[1] == "arrow" ? "--full" : "fhir-ndjson"))
  }
}
