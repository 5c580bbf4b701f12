// What a client of another language asks before anything else: is the service well, and what does it offer? Neither takes
// a key.

import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const PROTO = fileURLToPath(new URL('proto', import.meta.url));
const CALL_DEADLINE_MS = 15_000;
const SERVICES = ['Access', 'Audit', 'Chat', 'Config', 'Handshake', 'Operations', 'Tenant', 'Token'].map((name) => `stationmaster.v1.${name}Service`);

export async function probe({ report, service }) {
  const definition = protoLoader.loadSync(['health.proto', 'reflection.proto'], { includeDirs: [PROTO], keepCase: true, enums: String, oneofs: true });
  const api = grpc.loadPackageDefinition(definition).grpc;
  const at = (Service) => new Service(new URL(service.endpoint).host, grpc.credentials.createInsecure());
  const health = at(api.health.v1.Health);
  const reflection = at(api.reflection.v1.ServerReflection);
  try {
    report.same('the service is well', await check(health, ''), 'SERVING');
    const parts = await Promise.all(SERVICES.map((name) => check(health, name)));
    report.same('so is each part of it', parts, SERVICES.map(() => 'SERVING'));
    report.same('of others it knows nothing', await check(health, 'stationmaster.v1.Nothing').catch(({ code }) => code), grpc.status.NOT_FOUND);

    const listed = await reflect(reflection, { list_services: '' });
    const names = listed.list_services_response.service.map(({ name }) => name);
    report.same('reflection lists its services', names.filter((name) => name.startsWith('stationmaster.')).sort(), SERVICES);
    const described = await reflect(reflection, { file_containing_symbol: 'stationmaster.v1.ChatService.ResolveChat' });
    const file = described.file_descriptor_response?.file_descriptor_proto[0]?.toString('latin1') ?? '';
    report.holds('and describes a method', file.includes('stationmaster/v1/chat.proto') && file.includes('ResolveChatRequest'), described);
  } finally {
    health.close();
    reflection.close();
  }
}

function check(health, service) {
  return new Promise((resolve, reject) => {
    health.Check({ service }, { deadline: Date.now() + CALL_DEADLINE_MS }, (error, answer) => (error ? reject(error) : resolve(answer.status)));
  });
}

function reflect(reflection, request) {
  return new Promise((resolve, reject) => {
    const call = reflection.ServerReflectionInfo({ deadline: Date.now() + CALL_DEADLINE_MS });
    call.on('data', resolve).on('error', reject).on('end', () => reject(new Error('no answer')));
    call.write(request);
    call.end();
  });
}
