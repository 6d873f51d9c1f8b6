import AlertJournal
import Digests
import Foundation
import KeyValueStore
import TestSupport
import Testing

/// A store of format 1 as a program of that format left it (Fixtures/README.md), brought to the format of this one.
@Suite struct StoreUpgradeTests {
  private let program: CommandProgram
  private var store: String { program.folder.file("store") }

  /// What the program of format 1 said of it.
  private static let exportDigest = "9ec7617a838d2e38fc9aad9e2ddb11d7ad4e3a93816ab40fba1fe282f08c43c9"
  private static let stateHash = "sha256:0394a5b2975a685fa75582a7071f9186dbf3fcc8a43edc10fb5e503e280101b3"

  init() throws {
    program = try CommandProgram("upgrade")
    let fixture = RepositoryRoot.path + "/Tests/ServiceTests/Fixtures/store-format-1.tar.gz"
    try ChildProcess.run("tar", ["-xzf", fixture, "-C", program.folder.path], in: program.folder)
  }

  private func export() throws -> String {
    let outcome = try program.run(["export", "--store", store, "--full", "--output", program.folder.file("all.csv")])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    return hex(sha256([UInt8](try program.bytes("all.csv"))))
  }

  @Test func aStoreOfFormatOneIsUpgradedAndNothingIsLost() throws {
    // Reading commands say what to do, and change nothing.
    let refused = try program.run(["export", "--store", store])
    #expect(refused.status == .code(1))
    #expect(refused.stderr.contains("store format 1; `vigil run` brings it to format 2"), "\(refused.stderr)")

    let opened = try VigilStore.open(path: store)
    #expect(try opened.outbox.count() == 4)
    opened.close()
    #expect(try export() == StoreUpgradeTests.exportDigest)
    let replay = try program.run(["replay", store, "--alerts", "/dev/null", "--suppressed", "/dev/null", "--json"])
    #expect(commandJSON(replay.stdout)["state_hash"] as? String == StoreUpgradeTests.stateHash, "\(replay.stderr)")
    let verify = try program.run(["verify", "--store", store, "--json"])
    #expect(verify.status == .code(0), "\(verify.stdout)")
    let audit = try program.run(["audit", "--store", store, "--verify", "--json"])
    #expect(audit.stdout.contains(#""action":"store.upgrade""#) && audit.stdout.contains("format 1 to 2"))
  }

  @Test func anUpgradeCutOffIsMadeAtTheNextOpening() throws {
    // The families are there and the number is not yet risen: where a kill leaves it.
    let families = ["states", "rollups", "keys"].map { FamilySpec($0) }
    try Store.open(path: store, families: families).close()
    for _ in 0..<2 { try VigilStore.open(path: store).close() }
    #expect(try export() == StoreUpgradeTests.exportDigest)
    let audit = try program.run(["audit", "--store", store, "--action", "store.upgrade", "--json"])
    #expect(audit.stdout.split(separator: "\n").count == 1)
  }
}
