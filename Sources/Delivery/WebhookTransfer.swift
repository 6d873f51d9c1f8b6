import CCurl
import Glibc

/// One libcurl handle of one receiver, set up once and used for one attempt after the other, so that connections and
/// TLS sessions are kept. Belongs to the delivery thread.
final class WebhookTransfer {
  /// At most this much of a response is read; nobody reads it, and a longer one ends the connection.
  static let responseBytesMax = 64 * 1024

  let receiver: Receiver
  let easy: UnsafeMutableRawPointer
  private(set) var attempt: DeliverySchedule.Attempt?
  private(set) var startedWallMs: Int64 = 0
  private var headers: UnsafeMutablePointer<curl_slist>?
  fileprivate var responseBytes = 0
  fileprivate var addressRefused = false
  fileprivate var allowPrivate: Bool { receiver.allowPrivate }

  init?(receiver: Receiver) {
    guard let easy = curl_easy_init() else { return nil }
    self.receiver = receiver
    self.easy = easy
    guard configure() else { return nil }
  }

  deinit {
    curl_easy_cleanup(easy)
    curl_slist_free_all(headers)
  }

  /// Settings that hold for every attempt.
  private func configure() -> Bool {
    let me = Unmanaged.passUnretained(self).toOpaque()
    var results = [
      vigil_curl_set_string(easy, CURLOPT_URL, receiver.url),
      vigil_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
      vigil_curl_set_string(easy, CURLOPT_USERAGENT, "vigil/1"),
      // No proxy from the environment: the address guard must see the receiver's own address.
      vigil_curl_set_string(easy, CURLOPT_PROXY, ""),
      vigil_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)),
      vigil_curl_set_long(easy, CURLOPT_POST, 1),
      vigil_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
      vigil_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
      vigil_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1),
      vigil_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2),
      vigil_curl_set_long(easy, CURLOPT_NOSIGNAL, 1),
      vigil_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1),
      vigil_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
      vigil_curl_set_long(easy, CURLOPT_TIMEOUT_MS, receiver.timeoutMs),
      vigil_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, min(receiver.timeoutMs, 5_000)),
      vigil_curl_set_pointer(easy, CURLOPT_PRIVATE, me),
      vigil_curl_set_write(easy, discardResponse, me),
      vigil_curl_set_opensocket(easy, openGuardedSocket, me),
    ]
    if let file = receiver.authority { results.append(vigil_curl_set_string(easy, CURLOPT_CAINFO, file)) }
    return results.allSatisfy { $0 == CURLE_OK }
  }

  /// Loads one attempt: body, signature at this time, headers. Returns false when memory or an option fails, or when
  /// the id could break out of its header or out of the signed text.
  func load(_ attempt: DeliverySchedule.Attempt, wallMs: Int64) -> Bool {
    unload()
    self.attempt = attempt
    startedWallMs = wallMs
    let item = attempt.item
    guard item.webhookID.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ".") }) else {
      return false
    }
    let timestamp = wallMs / 1000
    let body = receiver.routingKey?.completing(item.body) ?? item.body
    var lines = [
      "Content-Type: \(item.contentType)",
      "webhook-id: \(item.webhookID)",
      "webhook-timestamp: \(timestamp)",
      // An empty Expect keeps libcurl from waiting for "100 Continue".
      "Expect:",
    ]
    lines += item.headers.map { "\($0.name): \($0.value)" }
    if !receiver.secrets.isEmpty {
      let signatures = Signature.header(id: item.webhookID, timestamp: timestamp, body: body, secrets: receiver.secrets)
      lines.append("webhook-signature: \(signatures)")
    }
    for line in lines {
      guard let longer = curl_slist_append(headers, line) else { return false }
      headers = longer
    }
    guard vigil_curl_set_headers(easy, headers) == CURLE_OK else { return false }
    return body.withUnsafeBytes { vigil_curl_set_body(easy, $0.baseAddress, $0.count) } == CURLE_OK
  }

  /// Forgets the attempt; the handle can be loaded again.
  func unload() {
    _ = vigil_curl_set_headers(easy, nil)
    curl_slist_free_all(headers)
    headers = nil
    attempt = nil
    responseBytes = 0
    addressRefused = false
  }

  /// What came of it, once libcurl says it is done.
  func result(_ code: CURLcode) -> AttemptResult {
    let status = vigil_curl_get_long(easy, CURLINFO_RESPONSE_CODE)
    let overlong = code == CURLE_WRITE_ERROR && responseBytes > Self.responseBytesMax
    if code == CURLE_OK || overlong, status >= 200 {
      let seconds = min(max(0, vigil_curl_get_offset(easy, CURLINFO_RETRY_AFTER)), 86_400)
      return .answered(status: status, retryAfterMs: seconds > 0 ? seconds * 1000 : nil)
    }
    if addressRefused { return .broken(.addressRefused) }
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST: return .broken(.resolve)
    case CURLE_COULDNT_CONNECT: return .broken(.connect)
    case CURLE_OPERATION_TIMEDOUT: return .broken(.timeout)
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
      return .broken(.tls)
    default: return .broken(.other)
    }
  }

  /// Connections the attempt had to open: 0 when one was still there.
  var connections: Int { vigil_curl_get_long(easy, CURLINFO_NUM_CONNECTS) }

  /// How long the attempt took, in microseconds.
  var latencyMicros: Int64 { vigil_curl_get_offset(easy, CURLINFO_TOTAL_TIME_T) }
}

/// Counts and drops the response body; returning less than given ends the transfer.
private func discardResponse(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let transfer = Unmanaged<WebhookTransfer>.fromOpaque(context).takeUnretainedValue()
  transfer.responseBytes += size * count
  return transfer.responseBytes > WebhookTransfer.responseBytesMax ? 0 : size * count
}

/// Opens a socket only to an address the receiver may have.
private func openGuardedSocket(
  _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
  let none: curl_socket_t = -1
  guard let context, let address else { return none }
  let transfer = Unmanaged<WebhookTransfer>.fromOpaque(context).takeUnretainedValue()
  let isAllowed =
    transfer.allowPrivate
    || withUnsafePointer(to: &address.pointee.addr) { AddressGuard.isPublic($0) }
  guard isAllowed else {
    transfer.addressRefused = true
    return none
  }
  let flags = Int32(SOCK_CLOEXEC.rawValue)
  return socket(address.pointee.family, address.pointee.socktype | flags, address.pointee.protocol)
}
