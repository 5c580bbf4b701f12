import { createRemoteJWKSet, jwtVerify } from 'jose';

// `url`: this server's URL, as it is configured in Stationmaster, byte for byte. `issuer`: the public URL of Stationmaster.
// `tenant`: whose users are served here.
export function receiver({ url, issuer, tenant }) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  return async function whoAsks(request) {
    const { payload } = await jwtVerify(request.headers['x-stationmaster-identity'] ?? '', keys, {
      algorithms: ['EdDSA'],
      typ: 'stationmaster-identity+jwt',
      issuer,
      audience: url,
      requiredClaims: ['sub', 'tenant', 'exp', 'jti'],
      clockTolerance: 60,
    });
    if (payload.tenant !== tenant) throw new Error('another tenant');
    return { user: payload.sub, chat: payload.chat, subchat: payload.subchat, workspace: payload.workspace };
  };
}
