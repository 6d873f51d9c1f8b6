import AlertJournal
import Foundation
import TestSupport
import Testing

/// `vigil codec` as a person uses it: learn from a recording, look, put into a store.
@Suite struct CodecCommandTests {
  private let program: CommandProgram

  init() throws { program = try CommandProgram("codec") }

  /// Ten people's heart rates, once a second.
  private func recording(_ name: String, from rate: Int) throws -> String {
    var random = SeededGenerator(seed: UInt64(rate))
    var text = "patient_id,time_s,hr\n"
    for person in 0..<10 {
      var rate = rate
      for second in 0..<600 {
        rate += Int(random.next() % 3) - 1
        text += "p\(person),\(second),\(rate)\n"
      }
    }
    return try program.folder.write(text, to: name)
  }

  private func train(_ recording: String, _ output: String, _ more: String...) throws -> CommandProgram.Outcome {
    try program.run(
      ["codec", "train", recording, "--rules", CommandProgram.rules, "--output", program.folder.file(output), "--json"]
        + more)
  }

  private func install(_ file: String, _ more: String...) throws -> CommandProgram.Outcome {
    try program.run(
      ["codec", "install", program.folder.file(file), "--store", program.folder.file("store"), "--json"] + more)
  }

  @Test func whatIsLearnedTwiceIsTheSameAndGoesIntoAStoreOnce() throws {
    let slow = try recording("slow.csv", from: 60)
    let trained = try train(slow, "slow.states")
    #expect(trained.status == .code(0), "\(trained.stderr)")
    let facts = commandJSON(trained.stdout)
    #expect(facts["id"] as? Int == 1000)
    #expect(facts["samples"] as? Int == 4800 && facts["held_out_samples"] as? Int == 1200)
    #expect(try train(slow, "again.states").status == .code(0))
    #expect(try program.bytes("slow.states") == program.bytes("again.states"))
    #expect(try train(try recording("fast.csv", from: 120), "fast.states").status == .code(0))

    try VigilStore.open(path: program.folder.file("store")).close()
    let unchecked = try install("slow.states")
    #expect(unchecked.status == .code(1))
    #expect(unchecked.stderr.contains("nobody to check it on"), "\(unchecked.stderr)")
    let forced = try install("slow.states", "--force", "--by", "u-1")
    #expect(forced.status == .code(0), "\(forced.stderr)")
    #expect(try install("again.states").stderr.contains("installed already"))
    #expect(try install("fast.states", "--force").status == .code(2))
    try checkWhatIsThere(hash: try #require(facts["sha256"] as? String))
  }

  private func checkWhatIsThere(hash: String) throws {
    let listed = try program.run(["codec", "list", "--store", program.folder.file("store"), "--json"])
    let sets = listed.stdout.split(separator: "\n").map { commandJSON($0) }
    #expect(sets.last?["id"] as? Int == 1000 && sets.last?["sha256"] as? String == hash)
    #expect(sets.map { $0["in_use"] as? Bool } == sets.dropLast().map { _ in false } + [true])
    let shown = try program.run(["codec", "show", "1000", "--store", program.folder.file("store"), "--json"])
    #expect((commandJSON(shown.stdout)["values"] as? [String])?.contains { $0.hasPrefix("hr/") } == true)
    let store = try VigilStore.open(path: program.folder.file("store"))
    defer { store.close() }
    var actions: [String] = []
    try store.audit.read { row in
      actions.append("\(row.entry.actor) \(row.entry.action) \(row.entry.subject)")
      return true
    }
    #expect(actions == ["u-1 codec.install states 1000"])
  }

  @Test func whatIsNoSetOrNobodysNumberIsRefusedInOneLine() throws {
    _ = try program.folder.write("not a set", to: "wrong.states")
    try VigilStore.open(path: program.folder.file("store")).close()
    for (arguments, status, words) in [
      (["codec", "show", program.folder.file("wrong.states")], 1, "not a set"),
      (["codec", "show", program.folder.file("none.states")], 2, "no such file"),
      (["codec", "show", "77", "--store", program.folder.file("store")], 2, "no set 77"),
      (["codec", "train", "--output", program.folder.file("x.states")], 2, "give recordings"),
      (["codec", "train", "none.csv", "--id", "7", "--output", "x"], 2, "`--id` must be"),
      (["codec", "lits"], 2, "did you mean `list`"),
    ] as [([String], Int32, String)] {
      let outcome = try program.run(arguments)
      #expect(outcome.status == .code(status), "\(arguments): \(outcome.stderr)")
      #expect(outcome.stderr.contains(words) && outcome.stderr.split(separator: "\n").count == 1, "\(outcome.stderr)")
    }
  }
}
