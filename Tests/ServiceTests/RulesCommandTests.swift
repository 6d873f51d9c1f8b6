import Foundation
import Service
import TestSupport
import Testing

/// `vigil rules` as a person runs it: beside a running service, on its store after it, and on recordings.
@Suite(.serialized) struct RulesCommandTests {
  private struct Desk {
    let program: CommandProgram
    let ward: Ward
    var store: [String] { ["--store", ward.folder.file("store"), "-c", ward.folder.file("vigil.yaml")] }

    func rules(_ words: String..., code: Int32 = 0) throws -> CommandProgram.Outcome {
      let outcome = try program.run(["rules"] + words + store)
      #expect(outcome.status == .code(code), "\(words): \(outcome.stdout)\(outcome.stderr)")
      return outcome
    }

    func list() throws -> [[String: Any]] {
      try rules("list", "--json").stdout.split(separator: "\n").map { commandJSON($0) }
    }
  }

  @Test func versionsFromDeployToRollback() throws {
    let desk = Desk(program: try CommandProgram("rules"), ward: try Ward.withOneRule())
    let ward = desk.ward
    try ward.start()
    let candidate = try ward.rules(limit: 92).directory
    let people = ["--author", "ann", "--reason", "limit on trial"]

    // Without who and why nothing is changed.
    let nameless = try desk.rules("deploy", candidate, "--reason", "x", code: 2)
    #expect(nameless.stderr.contains("`--author` is needed") && nameless.stderr.split(separator: "\n").count == 1)
    let trial = try desk.program.run(
      ["rules", "deploy", candidate, "--mode", "shadow", "--json"] + people + desk.store)
    #expect(trial.status == .code(0), "\(trial.stderr)")
    #expect(commandJSON(trial.stdout)["mode"] as? String == "live+shadow")
    #expect(try ward.inForce.number == 2)
    try ward.send("d-1", "spo2", "81", at: ward.now)
    try ward.send("d-2", "spo2", "79", at: ward.now)
    _ = try ward.settle(2)
    #expect(eventually { (try? ward.held().count) == 2 })
    let shadow = try desk.rules("shadow")
    #expect(shadow.stdout.split(separator: "\n").count == 2 && shadow.stderr.contains("low: 2"), "\(shadow)")

    let key = ward.folder.file("key.pem")
    try ChildProcess.run("openssl", ["genpkey", "-algorithm", "ed25519", "-out", key], in: desk.program.folder)
    let publicKey = ward.folder.file("key.pub")
    try ChildProcess.run("openssl", ["pkey", "-in", key, "-pubout", "-out", publicKey], in: desk.program.folder)
    let live = try desk.program.run(["rules", "deploy", candidate, "--key", key] + people + desk.store)
    #expect(live.status == .code(0) && live.stdout.contains("deployment 3 in force"), "\(live.stderr)")
    let again = try desk.program.run(["rules", "deploy", candidate] + people + desk.store)
    #expect(again.status == .code(78) && again.stderr.contains("in force already"))

    let rows = try desk.list()
    #expect(rows.map { $0["number"] as? Int } == [1, 2, 3])
    #expect(rows.map { $0["signature"] as? String } == ["none", "none", "valid"])
    #expect(rows.map { $0["in_force"] as? Bool } == [false, false, true])
    #expect(try desk.rules("list", "--verify").stdout.contains("in force"))
    _ = try desk.rules("list", "--verify", "--key", publicKey, code: 1)

    let difference = try desk.rules("diff", "1", "live").stdout
    #expect(difference.contains("changed low") && difference.contains("limit: 90 % (80 to 95) -> 92 % (80 to 95)"))
    #expect(difference.contains("-  limit: { default: 90") && difference.contains("+  limit: { default: 92"))
    #expect(try desk.rules("diff", "live", candidate).stdout.contains("no difference"))
    #expect(try desk.rules("show", "low").stdout.contains("Low saturation (low)"))
    #expect(try desk.rules("show", "low", "2").stdout.contains("shadow beside the version in force"))
    #expect(try desk.rules("show", "lo", code: 2).stderr.contains("did you mean `low`?"))
    #expect(try desk.rules("show", "low", "--explain-expr").stdout.contains("median"))
    #expect(try desk.rules("diff", "9", "live", code: 2).stderr.contains("no version `9`"))

    // Everything on the store's samples: eighty-one is a danger by the new limit only.
    let compared = try desk.rules("compare", "1", "live", ward.folder.file("store"), "--json").stdout
    let lines = compared.split(separator: "\n").map { commandJSON($0) }
    #expect(lines.first?["change"] as? String == "gained" && lines.first?["patient"] as? String == "d-1", "\(compared)")
    #expect(lines.last?["gained"] as? Int == 1 && lines.last?["lost"] as? Int == 0)

    // Back in one command, with the service and without it.
    let back = try desk.program.run(["rules", "rollback", "--author", "bob", "--reason", "too many"] + desk.store)
    #expect(back.status == .code(0) && back.stdout.contains("deployment 4 in force"), "\(back.stderr)")
    #expect(try ward.inForce.restores == 2)
    ward.stop()
    let offline = try desk.program.run(
      ["rules", "rollback", "--to", "1", "--author", "bob", "--reason", "all of it"] + desk.store)
    #expect(offline.status == .code(0) && offline.stdout.contains("deployment 5 in force"), "\(offline.stderr)")
    #expect(try desk.list().last?["restores"] as? Int == 1)
    try ward.start()
    #expect(try ward.inForce.number == 5 && ward.inForce.author == "bob")
    #expect(!ward.log.has("states damaged"))
  }

  @Test func recordingsAreComparedUnderTwoDirectories() throws {
    let program = try CommandProgram("rules-compare")
    let ward = try Ward.withOneRule()
    let candidate = try ward.rules(limit: 92).directory
    var lines = ["time_s,patient_id,spo2"]
    for second in 0..<120 { lines.append("\(second),p-1,\(second < 60 ? 91 : 97)") }
    for second in 0..<120 { lines.append("\(second),p-2,\(second < 60 ? 85 : 97)") }
    let recording = try program.folder.write(lines.joined(separator: "\n") + "\n", to: "strip.csv")
    let arguments = ["rules", "compare", ward.options.rules, candidate, recording]
    let text = try program.run(arguments)
    #expect(text.status == .code(0), "\(text.stderr)")
    #expect(text.stdout.contains("gained 2020-01-01T00:00:00.000Z") && text.stdout.contains(" p-1 low medium"))
    #expect(!text.stdout.contains("lost 2020"))
    let facts = try program.run(arguments + ["--json"])
    let summary = commandJSON(facts.stdout.split(separator: "\n").last ?? "")
    #expect((summary["before"] as? [String: Any])?["alerts"] as? Int == 1)
    #expect((summary["after"] as? [String: Any])?["alerts"] as? Int == 2)
    let other = try program.run(["rules", "compare", candidate, ward.options.rules, recording, "--json"])
    #expect(commandJSON(other.stdout.split(separator: "\n").last ?? "")["lost"] as? Int == 1)
    let unknown = try program.run(["rules", "compair", "a", "b"])
    #expect(unknown.status == .code(2) && unknown.stderr.contains("did you mean `compare`?"))
  }
}
