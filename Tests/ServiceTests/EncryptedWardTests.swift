import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import SeriesStore
import TestSupport
import Testing
import VitalModel

@testable import Service

@Suite struct EncryptedWardTests {
  private func keyFile(_ ward: Ward, _ name: String) throws -> String {
    let path = try ward.folder.write(try MasterKey.make() + "\n", to: name)
    #expect(chmod(path, 0o600) == 0)
    return "file:" + path
  }

  /// Texts that stand in clear in any file of the store.
  private func found(_ texts: [String], in path: String) throws -> [String] {
    var found: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      guard let data = FileManager.default.contents(atPath: path + "/" + name) else { continue }
      for text in texts where data.range(of: Data(text.utf8)) != nil { found.append("\(text) in \(name)") }
    }
    return found
  }

  @Test func aServiceOnAnEncryptedStoreLeavesNothingToRead() throws {
    let ward = try Ward()
    ward.options.masterKey = try keyFile(ward, "one.key")
    let store = ward.folder.file("store")
    try ward.start()
    let begin = ward.now - 60_000
    for second in 0..<60 {
      try ward.send("bed-of-mrn-4711", "spo2", "71", at: begin + Int64(second) * 1000, seq: second)
    }
    try ward.send("bed-of-mrn-4711", "{not json", channel: "vitals")
    try ward.flush()
    _ = try ward.settle(60)
    #expect(eventually(within: 20) { !ward.inbox.told.isEmpty })
    let texts = ["bed-of-mrn-4711", "{not json", "SpO2", "adult-ward", "oxygen", "spo2-", "\"patient\""]
    #expect(try found(texts, in: store) == [])

    // The master key changes while the service runs, and samples go on.
    let second = try keyFile(ward, "two.key")
    let request =
      "{\"command\":\"keys\",\"keys\":{\"action\":\"rotate-master\",\"subject\":\"\",\"new\":\"\(second)\",\"by\":\"u-1\","
      + "\"reason\":\"\"}}"
    let answer = try #require(ControlClient.ask(request, store: store))
    #expect(answer.hasPrefix("{\"ok\":true,\"wrapped\":"), "\(answer)")
    for index in 60..<90 {
      try ward.send("bed-of-mrn-4711", "spo2", "97", at: begin + Int64(index) * 1000, seq: index)
    }
    try ward.flush()
    _ = try ward.settle(90)
    ward.stop()
    #expect(try found(texts, in: store) == [])

    // The old key opens nothing, the new one everything.
    #expect(throws: StartFailure.self) { try ward.start() }
    ward.options.masterKey = second
    try ward.start()
    #expect(try ward.running.store.registry.counters().stored == 90)
    ward.stop()
    let key = try MasterKeySource.load(MasterKeyReference(second))
    let opened = try VigilStore.open(path: store, key: key)
    defer { opened.close() }
    #expect(try SeriesReader(opened.store).stats(verify: true).samples == 90)
    #expect(try opened.audit.verify().brokenAt == nil)
  }

  @Test func aKeyIsTakenOnlyFromWhereOthersCannotReadIt() throws {
    let folder = try TemporaryDirectory("master-key")
    let text = try MasterKey.make()
    let path = try folder.write(text + "\n", to: "master.key")
    func line(_ reference: String, seconds: Int = 10) -> String {
      do throws(MasterKeySource.Failure) {
        return try MasterKeySource.load(MasterKeyReference(reference), commandSeconds: seconds) == nil ? "none" : "key"
      } catch {
        return error.line
      }
    }
    for mode in [mode_t(0o600), 0o400] {
      chmod(path, mode)
      #expect(line("file:" + path) == "key")
    }
    for mode in [mode_t(0o640), 0o604, 0o620, 0o602] {
      chmod(path, mode)
      #expect(line("file:" + path) == "master key file:\(path): others may read it; chmod 600 \(path)")
    }
    chmod(path, 0o600)
    let short = try folder.write("5a5a\n", to: "short.key")
    chmod(short, 0o600)
    #expect(line("file:" + short).contains("not 32 bytes as 64 hexadecimal digits or base64"))
    #expect(line("file:" + folder.path).contains("not a small plain file"))
    #expect(line("file:" + path + ".none").contains("cannot be read"))
    #expect(line("env:VIGIL_NO_SUCH_KEY").contains("the variable is not set"))
    #expect(line("command:/bin/cat " + path) == "key")
    #expect(line("command:/bin/false").contains("ended with exit code 1"))
    #expect(line("command:/no/such/program").contains("cannot be run"))
    #expect(line("command:/bin/cat /dev/zero").contains("gave no key"))
    #expect(line("command:/bin/sleep 60", seconds: 0).contains("gave no key within 0 s"))
    // What is no key is not repeated either.
    let long = try folder.write(text + "5a\n", to: "long.key")
    chmod(long, 0o600)
    #expect(line("file:" + long).contains("not 32 bytes") && !line("file:" + long).contains(text))
    #expect(MasterKeyReference("command:cat x") == nil && MasterKeyReference("literal") == nil)
  }
}
