import Configuration
import Delivery
import Foundation
import Service
import Synchronization
import VitalModel
import WebhookFormats

/// Sends one test webhook to each receiver through the real delivery thread and waits for the answers.
enum WebhookTrial {
  struct Result {
    var receiver: String
    var isDelivered: Bool
    var status: Int
    var detail: String
    var latencyMicros: Int64
  }

  /// Collects first attempts; later ones do not count for a test.
  private final class Collector: DeliveryJournal {
    let results = Mutex<[String: Result]>([:])
    func attempted(_ reports: [AttemptReport]) {
      for report in reports {
        let (status, detail): (Int, String) =
          switch report.result {
          case .delivered(let status): (status, "")
          case .refused(let status, _): (status, "the receiver answered \(status)")
          case .broken(let failure): (0, failure.rawValue)
          }
        let result = Result(
          receiver: report.item.receiver, isDelivered: report.isDelivered, status: status, detail: detail,
          latencyMicros: report.latencyMicros)
        results.withLock { if $0[report.item.receiver] == nil { $0[report.item.receiver] = result } }
      }
    }
    func noticed(_ notice: DeliveryNotice) {}
    func roomAvailable() {}
  }

  /// - Parameter type: which kind of webhook; each receiver gets it in its own format.
  static func send(
    to configuration: VigilConfiguration, type: WebhookType
  ) throws(CommandFailure) -> [Result] {
    let collector = Collector()
    let worker: DeliveryWorker
    do {
      worker = try DeliveryWorker(receivers: try ReceiverBuilder.receivers(configuration), journal: collector)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, "receivers: \(error)")
    }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let names = configuration.receivers.map(\.name)
    // Names the vital of the test in `fhir`; without rules it goes by its key.
    let registry = (try? RuleFiles.read(configuration.rulesPath).registry()) ?? VitalRegistry([])
    for test in ReceiverBuilder.tests(configuration, type: type, registry: registry, now: now) {
      _ = worker.sendNow(
        to: [test.receiver], webhookID: test.webhookID, type: type.rawValue, body: test.encoded.body,
        contentType: test.encoded.contentType,
        headers: test.encoded.headers.map { OutboxItem.Header($0.name, $0.value) }, createdMs: now, attemptsMax: 1)
    }
    let deadline = ContinuousClock.now + .seconds(15)
    while ContinuousClock.now < deadline, collector.results.withLock({ $0.count }) < names.count {
      Thread.sleep(forTimeInterval: 0.01)
    }
    worker.stop(graceMs: 0)
    let found = collector.results.withLock { $0 }
    return names.map { name in
      found[name]
        ?? Result(receiver: name, isDelivered: false, status: 0, detail: "no answer in 15 s", latencyMicros: 0)
    }
  }
}
