// Drive the npm package `@kapso/whatsapp-cloud-api` as its users do: `node kapso.mjs send|receive`, settings as JSON in
// the environment variable CLIENT. What happens is printed as one line of JSON each.
import { createServer } from "node:http";
import { WhatsAppClient } from "@kapso/whatsapp-cloud-api";
import { normalizeWebhook, verifySignature } from "@kapso/whatsapp-cloud-api/server";

const settings = JSON.parse(process.env.CLIENT);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function client() {
  return new WhatsAppClient({ baseUrl: `${settings.base}/graph`, accessToken: settings.token, graphVersion: "v24.0" });
}

async function upload(api, type, name) {
  const file = new Blob([Buffer.from(settings.files[name], "base64")], { type });
  const answer = await api.media.upload({
    phoneNumberId: settings.number, type, file, fileName: `file.${type.split("/")[1]}`, messagingProduct: "whatsapp",
  });
  return answer.id;
}

async function send() {
  const api = client();
  const to = { phoneNumberId: settings.number, to: settings.to };
  const media = {
    image: await upload(api, "image/jpeg", "image"),
    audio: await upload(api, "audio/mpeg", "audio"),
    video: await upload(api, "video/mp4", "video"),
    document: await upload(api, "application/pdf", "document"),
    sticker: await upload(api, "image/webp", "sticker"),
  };
  say({ uploaded: media });
  const found = await api.media.get({ mediaId: media.image });
  const bytes = Buffer.from(await api.media.download({ mediaId: media.image, auth: "always" }));
  say({ media: found, same: bytes.toString("base64") === settings.files.image });
  const m = api.messages;
  const sends = {
    text: () => m.sendText({ ...to, body: "Hello", previewUrl: true }),
    image: () => m.sendImage({ ...to, image: { id: media.image, caption: "A picture" } }),
    audio: () => m.sendAudio({ ...to, audio: { id: media.audio } }),
    video: () => m.sendVideo({ ...to, video: { id: media.video } }),
    document: () => m.sendDocument({ ...to, document: { id: media.document, filename: "bill.pdf" } }),
    sticker: () => m.sendSticker({ ...to, sticker: { id: media.sticker } }),
    location: () => m.sendLocation({ ...to, location: { latitude: 19.43, longitude: -99.13, name: "Zócalo" } }),
    contacts: () =>
      m.sendContacts({ ...to, contacts: [{ name: { formattedName: "Luz Vera", firstName: "Luz" }, phones: [{ phone: "+5215500000000" }] }] }),
    reaction: () => m.sendReaction({ ...to, reaction: { messageId: settings.known, emoji: "👍" } }),
    template: () => m.sendTemplate({ ...to, template: { name: settings.template, language: { code: "en_US" } } }),
    buttons: () => m.sendInteractiveButtons({ ...to, bodyText: "Do you agree?", buttons: [{ id: "yes", title: "Yes" }] }),
    list: () =>
      m.sendInteractiveList({
        ...to, bodyText: "What is it?", buttonText: "Choose", sections: [{ title: "All", rows: [{ id: "1", title: "One" }] }],
      }),
    cta_url: () =>
      m.sendInteractiveCtaUrl({ ...to, bodyText: "Look", parameters: { displayText: "Open", url: "https://shop.example/" } }),
    location_request: () =>
      m.sendInteractiveLocationRequest({ ...to, bodyText: "Where?", parameters: { requestMessage: "Where are you?" } }),
  };
  for (const [type, run] of Object.entries(sends)) {
    try {
      say({ type, answer: await run() });
    } catch (error) {
      say({ type, error: String(error), raw: error.raw ?? null });
    }
  }
  say({ type: "read", answer: await m.markRead({ phoneNumberId: settings.number, messageId: settings.known }) });
  say({ type: "templates", answer: await api.templates.list({ businessAccountId: settings.waba, limit: 5 }) });
  say({ type: "deleted", answer: await api.media.delete({ mediaId: media.image }) });
}

function receive() {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://here");
    if (request.method === "GET") {
      const meant = url.searchParams.get("hub.verify_token") === settings.verify_token;
      response.writeHead(meant ? 200 : 403).end(meant ? url.searchParams.get("hub.challenge") : "");
      return;
    }
    const parts = [];
    for await (const part of request) parts.push(part);
    const rawBody = Buffer.concat(parts);
    const signatureHeader = request.headers["x-hub-signature-256"];
    if (!verifySignature({ appSecret: settings.secret, rawBody, signatureHeader })) {
      say({ kind: "refused" });
      response.writeHead(401).end();
      return;
    }
    try {
      const told = normalizeWebhook(JSON.parse(rawBody.toString()));
      for (const message of told.messages) say({ kind: "message", id: message.id, type: message.type, from: message.from });
      for (const status of told.statuses) say({ kind: "status", id: status.id, status: status.status });
      say({ kind: "fields", fields: Object.keys(told.raw) });
      response.end();
    } catch (error) {
      say({ kind: "refused", error: String(error) });
      response.writeHead(500).end();
    }
  });
  server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
}

await (process.argv[2] === "send" ? send() : receive());
